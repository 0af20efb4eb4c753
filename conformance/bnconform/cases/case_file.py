"""Cases as files: JSON with raw bytes, bit-exact, without pickle."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bnconform.cases.described import described, words_of
from bnconform_adapters.contract import DTYPES, AnyArray, Case
from bnconform_adapters.errors import UserError

FORMAT = "bnconform.case/1"
_READABLE = 64
"""Arrays of up to this many elements are also written as numbers, for a person; only the bytes are read."""


class CaseFileError(UserError):
    """A file is not a case file; the message is one line that says why."""


def encode(value: object) -> object:
    """Encode an array as JSON data, in words if it has them; return any other value unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    if words := words_of(value):
        return {"drawn": {**words, "shape": list(words["shape"])}}
    little = value.astype(value.dtype.newbyteorder("<")) if value.dtype.name != "bfloat16" else value
    encoded: dict[str, Any] = {
        "dtype": value.dtype.name,
        "shape": list(value.shape),
        "bytes": b64encode(little.tobytes()).decode(),
    }
    if 0 < value.size <= _READABLE and np.isfinite(value.astype(np.float64)).all():
        encoded["values"] = value.astype(np.float64).tolist()
    return encoded


def decode(value: Any) -> Any:
    """Return the value that :func:`encode` encoded."""
    if not isinstance(value, dict):
        return value
    if "drawn" in value:
        return described(**value["drawn"] | {"shape": tuple(value["drawn"]["shape"])})
    dtype = DTYPES[value["dtype"]]
    return np.frombuffer(b64decode(value["bytes"], validate=True), dtype).reshape(value["shape"]).copy()


def to_json(steps: tuple[Case, ...], **about: str) -> dict[str, Any]:
    """Return the steps of one layer as JSON data; `about` adds fields such as requirement and implementation."""
    return {
        "format": FORMAT,
        **about,
        "steps": [{field.name: encode(getattr(case, field.name)) for field in fields(case)} for case in steps],
    }


def from_json(data: Any) -> tuple[Case, ...]:
    """Return the steps of one layer from the data of :func:`to_json`.

    Raises
    ------
    CaseFileError
        If the data has another format or is damaged.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CaseFileError(f"not a case file of format {FORMAT}")
    try:
        steps = tuple(Case(**{name: decode(value) for name, value in step.items()}) for step in data["steps"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CaseFileError(f"the case file is damaged: {type(error).__name__}: {error}") from error
    if not steps or not all(isinstance(case.x, np.ndarray) for case in steps):
        raise CaseFileError("the case file is damaged: a case without an array x")
    return steps


def write(path: Path, steps: tuple[Case, ...], **about: str) -> None:
    """Write the steps of one layer to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(steps, **about), indent=1) + "\n")


def read(path: Path) -> tuple[Case, ...]:
    """Read the steps of one layer from a file.

    Raises
    ------
    CaseFileError
        If the file cannot be read or is not a case file.
    """
    try:
        return from_json(_data(path))
    except CaseFileError as error:
        raise CaseFileError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def about(path: Path) -> dict[str, str]:
    """Read a case file's other fields: requirement, implementation, and its spec as `--adapter` takes it.

    Raises
    ------
    CaseFileError
        If the file cannot be read or is not JSON.
    """
    data = _data(path)
    beside = data.items() if isinstance(data, dict) else ()
    return {key: value for key, value in beside if key not in ("format", "steps") and isinstance(value, str)}


def _data(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise CaseFileError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CaseFileError(f"{path} is not JSON: {error}") from error


def same(a: AnyArray | None, b: AnyArray | None) -> bool:
    """Return True if two arrays of a case are equal in dtype, shape and bits."""
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
