"""Plain code that the modules of calls share: it runs a layer, places its arrays and prints a verdict.

Plain code imports only NumPy, one framework and other plain code. A reproduction script contains copies of the plain
code that it needs, so it runs without this project.
"""

from __future__ import annotations

from importlib import resources

PACKAGE = "bnconform_adapters"
ROOMS = ("numpy", "torch", "jax", "tensorflow", "keras", "onnx", "others", "plain")
"""Folders of plain code."""

CANDIDATES = {
    "plain.candidate_numpy": (),
    "plain.candidate_torch": ("torch",),
    "plain.candidate_jax": ("jax", "jaxlib"),
    "plain.candidate_class_numpy": (),
    "plain.candidate_class_torch": ("torch",),
    "plain.candidate_class_jax": ("jax", "jaxlib"),
    "plain.candidate_module": ("torch",),
    "plain.candidate_kernelbench": ("torch",),
}
"""The module of calls for each kind of candidate file, with the distributions that it needs besides NumPy."""


def module_of(imported: str) -> str:
    """Return the plain module that an import names, relative to this package; empty if that is no plain code."""
    package, _, module = imported.partition(".")
    room, _, rest = module.partition(".")
    return module if package == PACKAGE and room in ROOMS and rest else ""


def text(module: str) -> str:
    """Return the source of a plain module, "torch.functional" for example."""
    return (resources.files(PACKAGE) / f"{module.replace('.', '/')}.py").read_text()
