"""Findings of a campaign: one for each requirement, implementation and signature, with its smallest case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""A finding's requirement, implementation and signature."""
_NUMBER = re.compile(r"[-+]?(\d[\d.,]*(e[-+]?\d+)?|inf|nan)\b")


def signature_of(cell: dict[str, Any]) -> str | None:
    """Return the signature of a broken cell, which is equal for equal faults; None if nothing new is broken.

    The signature is the quantity and the problem, without numbers.
    """
    if cell["verdict"] != "breaks" or "known" in cell:
        return None
    finding = cell.get("finding")
    if finding is None:
        return str(cell["reason"])
    return f"{finding['quantity']} {_NUMBER.sub('#', finding['problem'])}"


def smaller(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Return the cell with the smaller witness, else with the smaller command; the order does not matter."""
    return other if one is None else min(one, other, key=_size)


def _size(cell: dict[str, Any]) -> tuple[int, str]:
    witness = cell.get("witness") or {"steps": []}
    arrays = [value for step in witness["steps"] for value in step.values() if isinstance(value, dict)]
    return sum(len(array["bytes"]) for array in arrays), cell.get("again", "")


def gathered(cells: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Return the smallest cell of every requirement, implementation and signature, sorted."""
    found: dict[Key, dict[str, Any]] = {}
    for cell in cells:
        if signature := signature_of(cell):
            key = (cell["requirement"], cell["implementation"], signature)
            found[key] = smaller(found.get(key), cell)
    return dict(sorted(found.items()))


def write_findings(found: dict[Key, dict[str, Any]], folder: Path) -> dict[Key, Path]:
    """Write the case file and the script of each finding that has a witness; return the paths of the case files.

    A file's name depends only on its finding, so new findings do not change it.
    """
    paths = {}
    for key, cell in found.items():
        requirement, implementation, signature = key
        if not cell.get("witness"):
            continue
        path = folder / f"{_name(*key)}.json"
        folder.mkdir(parents=True, exist_ok=True)
        about = {"requirement": requirement, "implementation": implementation, "spec": cell["spec"]}
        witness = cell["witness"] | about | {"signature": signature, "again": cell["again"]}
        path.write_text(json.dumps(witness, indent=1) + "\n")
        if cell["script"]:
            path.with_suffix(".py").write_text(cell["script"])
        paths[key] = path
    return paths


def _name(requirement: str, implementation: str, signature: str) -> str:
    """Return a file name such as "S2-kernel-running_var-3f9a0c", with the quantity and a digest of the signature."""
    quantity = re.sub(r"\W", "_", signature.partition(" ")[0])
    digest = blake2b(signature.encode(), digest_size=3).hexdigest()
    return f"{requirement}-{implementation.removesuffix('.py').replace(':', '-')}-{quantity}-{digest}"
