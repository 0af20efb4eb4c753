"""The table of bundled implementations. Nothing here imports a framework."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from bnconform_adapters import jax, keras, numpy, onnx, others, tensorflow, torch
from bnconform_adapters.call_adapter import CallAdapter
from bnconform_adapters.contract import Adapter
from bnconform_adapters.entry import Entry as Entry
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.frameworks import settle

REGISTRY: tuple[Entry, ...] = (
    *numpy.IMPLEMENTATIONS,
    *torch.IMPLEMENTATIONS,
    *jax.IMPLEMENTATIONS,
    *keras.IMPLEMENTATIONS,
    *tensorflow.IMPLEMENTATIONS,
    *onnx.IMPLEMENTATIONS,
    *others.IMPLEMENTATIONS,
)


def find(name: str) -> Entry:
    """Return the entry of a name.

    Raises
    ------
    AdapterError
        No bundled implementation has this name.
    """
    for entry in REGISTRY:
        if entry.name == name:
            return entry
    known = [entry.name for entry in REGISTRY]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise AdapterError(
        f"unknown adapter {name!r}: {hint}pass one of {', '.join(known)}, or the path of a Python file (PATH.py)"
    )


def create(entry: Entry) -> Adapter:
    """Build the adapter of an entry.

    Raises
    ------
    AdapterError
        A package that the implementation needs is not installed.
    """
    if missing := entry.missing():
        raise AdapterError(f"adapter {entry.name!r} needs {', '.join(missing)}: {entry.install}")
    if entry.factory:
        module, function = entry.factory.split(":")
        made: Adapter = getattr(import_module(f"bnconform_adapters.{module}"), function)()
        return made
    assert entry.claims is not None
    return CallAdapter(entry.name, entry.claims, f"bnconform_adapters.{entry.module}", entry.frameworks)


def is_file(spec: str) -> bool:
    """Return True if a user's ``NAME|PATH.py[:NAME]`` names a file."""
    return spec.endswith(".py") or ".py:" in spec


def path_of(spec: str) -> tuple[Path, str]:
    """Return the path of a user's ``PATH.py[:NAME]``, and NAME or an empty string."""
    path, _, name = spec.partition(".py:")
    return Path(f"{path.removesuffix('.py')}.py"), name


def own_process(spec: str) -> bool:
    """Return True if an implementation needs a separate process: a file, or a framework that disturbs the others.

    Raises
    ------
    AdapterError
        No bundled implementation has this name.
    """
    return is_file(spec) or find(spec).environment is not None


def environment(spec: str) -> dict[str, str]:
    """Return the environment variables of the implementation's process; a file needs none."""
    return {} if is_file(spec) else dict(find(spec).environment or ())


def load(spec: str) -> Adapter:
    """Build the adapter that a user named: a bundled implementation, or a file as ``PATH.py[:NAME]``.

    Raises
    ------
    AdapterError
        The implementation or the file does not exist, or the file has nothing to test.
    """
    settle()
    if is_file(spec):
        from bnconform_adapters.candidate import load_candidate

        path, name = path_of(spec)
        return load_candidate(path, name or None)
    return create(find(spec))
