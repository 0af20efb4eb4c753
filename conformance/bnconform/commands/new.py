"""`bnconform new`: write a batch norm to start your own kernel from."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path

HELP = "write a batch norm to start your own kernel from"
STARTERS = {
    "numpy": "numpy_functions.py",
    "torch": "torch_functions.py",
    "jax": "jax_functions.py",
    "class": "any_class.py",
    "module": "torch_module.py",
    "kernelbench": "kernelbench.py",
}
"""Forms of a candidate file, and the starter of each; the first is the default."""
HIDDEN_BY_NAME = ("numpy", "torch", "jax")
"""Modules that a file of the same name could not import."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and its form."""
    parser.add_argument("path", type=Path, metavar="PATH.py")
    parser.add_argument(
        "--form",
        choices=STARTERS,
        default=next(iter(STARTERS)),
        help="functions on arrays of one kind, a class of any kind, a module that replaces torch.nn.BatchNorm, or a "
        "KernelBench file (default: %(default)s)",
    )


def run(parsed: argparse.Namespace, rest: list[str]) -> int:
    """Write the starter; refuse to overwrite anything."""
    from bnconform_adapters.errors import UserError

    path: Path = parsed.path
    if path.suffix != ".py":
        raise UserError(f"{path} is not the name of a Python file; pass PATH.py")
    if path.stem in HIDDEN_BY_NAME:
        raise UserError(f"{path} would hide {path.stem} from itself; pass another name")
    if path.exists():
        raise UserError(f"{path} exists; pass another name")
    if not path.parent.is_dir():
        raise UserError(f"no such folder: {path.parent}; make it first")
    path.write_text((resources.files("bnconform") / "starters" / STARTERS[parsed.form]).read_text())
    print(f"written: {path}; it passes unchanged, see: bnconform vet {path}")
    return 0
