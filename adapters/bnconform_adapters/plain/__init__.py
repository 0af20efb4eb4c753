"""Plain code that the modules of calls share: what runs a layer, places its arrays and prints a verdict.

Modules of calls and these are plain code: each imports NumPy, one framework and other plain code only. A script takes
in what it needs of them, so that it runs without this project.
"""

from __future__ import annotations

from importlib import resources

PACKAGE = "bnconform_adapters"
ROOMS = ("numpy", "torch", "jax", "tensorflow", "keras", "onnx", "others", "plain")
"""The folders of plain code."""

CANDIDATES = {
    "plain.candidate_numpy": (),
    "plain.candidate_torch": ("torch",),
    "plain.candidate_jax": ("jax", "jaxlib"),
    "plain.candidate_module": ("torch",),
    "plain.candidate_kernelbench": ("torch",),
}
"""The modules for what a file holds, and the distributions that each needs beside NumPy."""


def module_of(imported: str) -> str:
    """The plain module that an import names, below this package; empty where it is no plain code."""
    package, _, module = imported.partition(".")
    room, _, rest = module.partition(".")
    return module if package == PACKAGE and room in ROOMS and rest else ""


def text(module: str) -> str:
    """The source of a plain module: "torch.functional"."""
    return (resources.files(PACKAGE) / f"{module.replace('.', '/')}.py").read_text()
