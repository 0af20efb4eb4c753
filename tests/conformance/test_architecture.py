"""Rules on the code itself: imports point one way, tolerances have one home, every requirement has one law."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from suite_runs import FRAMEWORKS, ROOT, laws

from bnconform.requirements import BY_ID, CATALOGUE
from bnconform_adapters.plain import ROOMS

SOURCES = {
    "bnconform_reference": ROOT / "reference" / "bnconform_reference",
    "bnconform_adapters": ROOT / "adapters" / "bnconform_adapters",
    "bnconform": ROOT / "conformance" / "bnconform",
    "bnconform_reports": ROOT / "reports" / "bnconform_reports",
}
# What a package may import of the others at module level.
ALLOWED = {
    "bnconform_reference": set(),
    "bnconform_adapters": {"bnconform_reference"},
    "bnconform": {"bnconform_reference", "bnconform_adapters"},
    "bnconform_reports": {"bnconform_reference", "bnconform_adapters", "bnconform"},
}
# The outermost layer may reach everywhere, lazily.
OUTERMOST = {"plugin.py", "session.py", "cli.py", "vetting.py", "report.py", "record.py", "benefits.py"}
# A framework's kernel is written in the framework, and so is what users start their own from.
KERNELS = {"fused_triton", "starters"}
# A module of calls is written as a framework's users write it, and is imported when it is first called; the table of a
# room is no such module.
PLAIN = set(ROOMS)
ROOMS_IN_ORDER: dict[str, tuple[str, ...]] = {
    "bnconform": (
        *("requirements", "cases", "deviations", "judging", "training", "scripts", "laws", "identify", "diagnosis"),
        *("starters", "running", "campaign", "commands", "cli", "plugin", ""),
    ),
    "bnconform_reports": ("records", "pictures", "sections", ""),
}
"""Rooms in the order of imports; "" is the rest of the package's top."""
STARTERS = {
    "numpy_functions.py",
    "torch_functions.py",
    "jax_functions.py",
    "any_class.py",
    "torch_module.py",
    "kernelbench.py",
}
"""Files that users copy; their names are those of the forms."""


@dataclass(frozen=True)
class Import:
    """One imported top-level package: where, and whether it is imported as soon as the module is."""

    package: str
    line: int
    at_once: bool


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def files(package: str) -> list[Path]:
    """Python files of a package."""
    return sorted(SOURCES[package].rglob("*.py"))


def imports(path: Path) -> list[Import]:
    """All imports of a file; those inside functions and under TYPE_CHECKING are not at once."""
    return list(_imports(parsed(path).body, at_once=True))


def _imports(nodes: list[ast.stmt], *, at_once: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name.partition(".")[0], node.lineno, at_once)
        elif isinstance(node, ast.ImportFrom) and not node.level:  # what is relative is the package's own
            yield Import((node.module or "").partition(".")[0], node.lineno, at_once)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        later |= isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        handlers = [h for h in ast.iter_child_nodes(node) if isinstance(h, ast.ExceptHandler | ast.match_case)]
        inner += [child for handler in handlers for child in handler.body]
        yield from _imports(inner, at_once=at_once and not later)


@pytest.mark.parametrize("package", SOURCES)
def test_imports_point_one_way(package: str) -> None:
    """reports -> conformance -> adapters -> reference; only the outermost layer looks back, inside functions."""
    for path in files(package):
        for found in imports(path):
            if found.package not in SOURCES or found.package in ALLOWED[package] | {package}:
                continue
            lazy = package == "bnconform" and path.name in OUTERMOST and not found.at_once
            assert lazy, f"{path.relative_to(ROOT)}:{found.line} imports {found.package}"


@pytest.mark.parametrize("package", SOURCES)
def test_frameworks_are_imported_inside_functions(package: str) -> None:
    """No module imports a framework as soon as it is imported; kernels themselves aside."""
    for path in files(package):
        room = path.relative_to(SOURCES[package]).parts[0]
        if room in KERNELS or (room in PLAIN and path.name != "__init__.py"):
            continue
        for found in imports(path):
            assert not (found.at_once and found.package in FRAMEWORKS), f"{path.relative_to(ROOT)}:{found.line}"


@pytest.mark.parametrize("package", ["bnconform_reference", "bnconform", "bnconform_reports"])
def test_only_adapters_know_frameworks(package: str) -> None:
    """Outside the adapters no module imports a framework at all."""
    for path in files(package):
        if path.parent.name == "starters":  # what users start from is theirs
            continue
        for found in imports(path):
            assert found.package not in FRAMEWORKS, f"{path.relative_to(ROOT)}:{found.line}"


@pytest.mark.parametrize("package", ROOMS_IN_ORDER)
def test_rooms_import_earlier_ones(package: str) -> None:
    """No module imports one of a later room, and no modules import each other in a circle."""
    rooms, graph = ROOMS_IN_ORDER[package], dict[str, set[str]]()
    for path in files(package):
        own = ".".join(path.relative_to(SOURCES[package].parent).with_suffix("").parts)
        froms = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom)]
        graph[own] = {str(node.module) for node in froms if str(node.module).startswith(f"{package}.")}
        for other in graph[own]:
            ranks = [rooms.index(room) for room in (_room(other, rooms), _room(own, rooms))]
            assert ranks == sorted(ranks), f"{own} imports {other}"
    assert any(graph.values())
    TopologicalSorter(graph).prepare()


def _room(module: str, rooms: tuple[str, ...]) -> str:
    """The room of a module: a folder, a file at the top that is a room of its own, or the top."""
    room = module.split(".")[1]
    return room if room in rooms else ""


def test_no_two_files_have_one_name() -> None:
    """A stranger who is told a file's name finds one file."""
    names = [path.name for package in SOURCES for path in files(package) if path.name != "__init__.py"]
    assert not {name for name in names if names.count(name) > 1} - STARTERS


def test_reference_needs_numpy_only() -> None:
    """The oracle imports NumPy, ml_dtypes and the standard library."""
    import sys

    for path in files("bnconform_reference"):
        for found in imports(path):
            known = found.package in {"numpy", "ml_dtypes", "bnconform_reference"}
            assert known or found.package in sys.stdlib_module_names, f"{path.name}:{found.line} {found.package}"


def law_files() -> list[Path]:
    """The modules that hold the laws."""
    return sorted((SOURCES["bnconform"] / "laws").glob("test_*.py"))


@pytest.mark.parametrize("path", law_files(), ids=lambda path: path.name)
def test_laws_hold_no_tolerance(path: Path) -> None:
    """No law names a tolerance or calls a function that takes one."""
    words = {
        "rtol",
        "atol",
        "rel",
        "abs_tol",
        "rel_tol",
        "tolerance",
        "allclose",
        "isclose",
        "approx",
        "assert_allclose",
    }
    for node in ast.walk(parsed(path)):
        names = {getattr(node, attribute, None) for attribute in ("id", "attr", "arg", "name")}
        assert not names & words, f"{path.name}:{getattr(node, 'lineno', '?')}"


@pytest.mark.parametrize("path", law_files(), ids=lambda path: path.name)
def test_laws_hold_no_settings(path: Path) -> None:
    """No law fixes its number of examples: that is the profiles' affair."""
    for node in ast.walk(parsed(path)):
        names = {getattr(node, attribute, None) for attribute in ("id", "attr", "arg", "name")}
        assert not names & {"settings", "max_examples", "seed"}, f"{path.name}:{getattr(node, 'lineno', '?')}"


def test_every_requirement_has_exactly_one_law() -> None:
    """The catalogue and the laws are the same set; laws() refuses two laws of one requirement."""
    assert set(laws()) == set(BY_ID)
    assert len(BY_ID) == len(CATALOGUE)


@pytest.mark.parametrize("path", law_files(), ids=lambda path: path.name)
def test_every_law_states_itself(path: Path) -> None:
    """Every test of a law has a requirement, and a docstring whose first paragraph is a sentence."""
    for node in parsed(path).body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        sentence = (ast.get_docstring(node) or "").partition("\n\n")[0]
        assert sentence.endswith("."), f"{node.name} does not state its law"
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        assert any(decorator.startswith("requirement(") for decorator in decorators), f"{node.name} is no law"


def test_packages_are_typed() -> None:
    """Every package says that it is typed."""
    for folder in SOURCES.values():
        assert (folder / "py.typed").is_file(), folder
