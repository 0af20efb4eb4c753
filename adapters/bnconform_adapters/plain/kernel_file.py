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


class KernelFile:
    """A file's module, and what is tested of it: all, or an object in it.

    `kind` is the module class that is tested, and `names` are its own of weight and the like, once they are known.
    """

    def __init__(self, module: object, tested: object) -> None:
        self.module, self.tested, self.kind, self.names = module, tested, None, None

    def stated(self, name, default):
        """The value that the file gives a name such as DEVICE."""
        return getattr(self.tested, name, getattr(self.module, name, default))

    def momentum_of(self, case):
        """The case's momentum as the file takes it: by its CLAIMS, it may be the weight of the old statistics."""
        weighs_old = self.stated("CLAIMS", {}).get("momentum_weighs") == "old"
        return 1.0 - case.momentum if weighs_old and case.momentum is not None else case.momentum


@cache
def kernel_file():
    """The file that SPEC names."""
    file, _, name = SPEC.partition(".py:")
    path = Path(f"{file.removesuffix('.py')}.py")
    if not path.is_file():
        cannot_tell(f"no such file: {path}")
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may be several files
    spec = importlib.util.spec_from_file_location("kernel_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["kernel_under_test"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        cannot_tell(f"{path} cannot be imported: {type(error).__name__}: {error}")
    if name and not hasattr(module, name):
        cannot_tell(f"{path} has no {name}")
    return KernelFile(module, getattr(module, name) if name else module)


def wrong_kind(found, due, name):
    """The error of a file that returned something else than an array of its kind, as `name`."""
    package, kind = type(found).__module__.partition(".")[0], type(found).__name__
    shown = kind if package == "builtins" else f"{package}.{kind}"
    return TypeError(f"returned a {shown} where the contract asks for a {due}, as {name}")
