"""Find the torch.nn.Module of a candidate file that is the batch norm, and its form."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from bnconform_adapters.candidate.kernelbench_file import MODELS, kernelbench_candidate
from bnconform_adapters.candidate.module_file import drop_in_candidate
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.contract import Adapter
from bnconform_adapters.errors import AdapterError

PREFERRED = "ModelNew"


def module_candidate(title: str, where: str, stated: Statements) -> Adapter | None:
    """Return the adapter of a file's module class, or None if the file has none.

    Raises
    ------
    AdapterError
        Several classes are possible, or the class cannot replace a batch norm.
    """
    own = _classes(stated.module)
    task = any(hasattr(stated.module, f) for f in ("get_inputs", "get_init_inputs"))
    if stated.tested is not stated.module:
        cls = stated.tested
        if _is_module(cls, instance=True):
            raise AdapterError(f"{where} is a module that has been built; pass PATH.py:NAME of its class")
        if not _is_module(cls):
            return None
        if task and cls.__name__ in MODELS:
            return kernelbench_candidate(title, where, cls, stated)
        return drop_in_candidate(title, where, cls, stated)
    if (preferred := vars(stated.module).get(PREFERRED)) is not None:  # defined in the file or imported
        if not _is_module(preferred):
            raise AdapterError(
                f"{PREFERRED} in {where} is a {type(preferred).__name__}; make it a torch.nn.Module class"
            )
        own = {**own, PREFERRED: preferred}
    if task and (models := [own[name] for name in MODELS if name in own]):
        return kernelbench_candidate(title, where, models[0], stated)
    if PREFERRED in own:
        return drop_in_candidate(title, where, own[PREFERRED], stated)
    fitting = {name: cls for name, cls in own.items() if "num_features" in inspect.signature(cls).parameters}
    if len(fitting) == 1:
        return drop_in_candidate(title, where, next(iter(fitting.values())), stated)
    if fitting:
        choices = " or ".join(f"{stated.path}:{name}" for name in fitting)
        raise AdapterError(f"{where} defines {len(fitting)} modules that take num_features; pass {choices}")
    if own:
        names = ", ".join(own)
        raise AdapterError(
            f"{where} defines no module whose constructor takes num_features; pass {stated.path}:NAME with one of "
            f"{names}; the suite calls NAME(channels)"
        )
    return None


def _classes(module: Any) -> Mapping[str, Any]:
    """Return the module classes that a file defines, or else those that it imports, except torch's own."""
    found = {name: cls for name, cls in vars(module).items() if _is_module(cls)}
    own = {name: cls for name, cls in found.items() if cls.__module__ == module.__name__}
    return own or {name: cls for name, cls in found.items() if cls.__module__.partition(".")[0] != "torch"}


def _is_module(offered: Any, *, instance: bool = False) -> bool:
    import torch

    if instance:
        return isinstance(offered, torch.nn.Module)
    return isinstance(offered, type) and issubclass(offered, torch.nn.Module)
