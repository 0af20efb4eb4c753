"""The file under test: PATH.py, or PATH.py:NAME for an object in it."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

SPEC = "kernel.py"


def cannot_tell(why):
    """Leave, neither with a defect nor without one."""
    print("cannot tell:", why)
    sys.exit(125)


@cache
def kernel_file():
    """The file's module, and what is tested of it: all, or the object called NAME."""
    file, _, name = SPEC.partition(".py:")
    path = Path(f"{file.removesuffix('.py')}.py")
    if not path.is_file():
        cannot_tell(f"no such file: {path}")
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may be several files
    spec = importlib.util.spec_from_file_location("kernel_under_test", path)
    module = sys.modules["kernel_under_test"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        cannot_tell(f"{path} cannot be imported: {type(error).__name__}: {error}")
    if name and not hasattr(module, name):
        cannot_tell(f"{path} has no {name}")
    return module, getattr(module, name) if name else module


def stated(name, default):
    """What the file says under a name such as DEVICE."""
    module, tested = kernel_file()
    return getattr(tested, name, getattr(module, name, default))


def momentum_of(case):
    """The case's momentum as the file takes it: by its CLAIMS, it may be the weight of the old statistics."""
    weighs_old = stated("CLAIMS", {}).get("momentum_weighs") == "old"
    return 1.0 - case.momentum if weighs_old and case.momentum is not None else case.momentum
