"""Load a candidate file and detect its form."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from bnconform_adapters.candidate.class_file import class_candidate
from bnconform_adapters.candidate.functions import functions_candidate, functions_of
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.contract import Adapter, describe_error
from bnconform_adapters.errors import AdapterError


def load_candidate(path: Path, name: str | None = None) -> Adapter:
    """Load a candidate from a file, or from an object called `name` in it.

    The forms are tried in this order: a class with LAYER; functions; KernelBench's form, if the file has get_inputs or
    get_init_inputs; the class ModelNew, or the only torch.nn.Module whose constructor takes num_features.

    Raises
    ------
    AdapterError
        The file does not exist, cannot be imported, has nothing to test, or has a wrong claim.
    """
    if not path.is_file():
        raise AdapterError(f"no such file: {path}; pass the path of a Python file")
    module = _import(path)
    offered: Any = module
    if name is not None:
        if not hasattr(module, name):
            raise AdapterError(f"{path} has no {name!r}; pass PATH.py:NAME with a name that the file defines")
        offered = getattr(module, name)
    title = f"{path.name}:{name}" if name else path.name
    where = f"{path}:{name}" if name else str(path)
    stated = Statements(str(path), offered, module)
    if stated.mapping("LAYER"):
        return class_candidate(title, where, stated)
    if functions := functions_of(offered):
        if name is None and hasattr(module, "ModelNew"):
            raise AdapterError(
                f"{where} offers functions ({', '.join(functions)}) and the class ModelNew; pass {path}:ModelNew, or "
                "rename the functions or the class"
            )
        return functions_candidate(title, functions, stated)
    if "torch" in sys.modules:
        from bnconform_adapters.candidate.classes import module_candidate

        if (found := module_candidate(title, where, stated)) is not None:
            return found
    raise AdapterError(
        f"{where} defines none of batch norm's functions; define forward_training or forward_inference "
        "(and backward, backward_inference) or a torch.nn.Module that takes num_features, or pass PATH.py:NAME of one"
    )


def _import(path: Path) -> ModuleType:
    unique = f"_bnconform_candidate_{path.stem}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses and pickle look for the module here
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may consist of several files
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends with sys.exit() must not end the run
        raise AdapterError(f"{path} cannot be imported: {describe_error(error)}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
