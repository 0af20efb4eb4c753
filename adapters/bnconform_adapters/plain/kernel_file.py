"""The file under test: PATH.py, or PATH.py:NAME for an object in it."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

SPEC = "kernel.py"


def cannot_tell(why):
    """Exit with 125: the script found neither a defect nor its absence."""
    print("cannot tell:", why)
    sys.exit(125)


class KernelFile:
    """A file's module, and the tested part of it: the whole module or an object in it.

    `kind` is the tested module class, and `names` are its own names of weight, bias and statistics, once known.
    """

    def __init__(self, module: object, tested: object) -> None:
        self.module, self.tested, self.kind, self.names = module, tested, None, None

    def stated(self, name, default):
        """Return the value that the file assigns to a name such as DEVICE."""
        return getattr(self.tested, name, getattr(self.module, name, default))

    def momentum_of(self, case):
        """Convert the case's momentum: a file's CLAIMS may define momentum as the weight of the old statistics."""
        weighs_old = self.stated("CLAIMS", {}).get("momentum_weighs") == "old"
        return 1.0 - case.momentum if weighs_old and case.momentum is not None else case.momentum


@cache
def kernel_file():
    """Load the file that SPEC names."""
    file, _, name = SPEC.partition(".py:")
    path = Path(f"{file.removesuffix('.py')}.py")
    if not path.is_file():
        cannot_tell(f"no such file: {path}")
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may consist of several files
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
    """Return the error for a file that returned an object of the wrong type as `name`."""
    package, kind = type(found).__module__.partition(".")[0], type(found).__name__
    shown = kind if package == "builtins" else f"{package}.{kind}"
    return TypeError(f"returned a {shown} where the contract asks for a {due}, as {name}")
