"""The plugin in other people's pytest runs: light to load, silent unless asked, and there when asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import FRAMEWORKS, conformance, laws, run, run_pytest_and_look, starter

from bnconform_adapters.registry import REGISTRY, find

HEAVY = {"numpy", "hypothesis", "ml_dtypes", *FRAMEWORKS}

# A project whose folders are called as this one's, with rules as strict as they come.
FOREIGN = {
    "pytest.ini": "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n",
    "adapters/__init__.py": "",
    "adapters/plug.py": "VOLTS = 230\n",
    "reports/__init__.py": "TITLE = 'sales'\n",
    "conformance/__init__.py": "",
    "reference/__init__.py": "",
    "tests/test_theirs.py": (
        "import adapters.plug, conformance, reference, reports\n\n\n"
        "def test_plug():\n    assert adapters.plug.VOLTS == 230\n\n\n"
        "def test_title():\n    assert reports.TITLE == 'sales'\n"
    ),
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody else's project."""
    for name, text in FOREIGN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_plugin_is_light(tmp_path: Path) -> None:
    """Loading the plugin imports neither NumPy nor Hypothesis nor a framework."""
    found = run("-c", "import bnconform.plugin, sys; print(*sys.modules)", cwd=tmp_path)
    assert "bnconform.plugin" in found.out.split()
    assert not HEAVY & set(found.out.split())


def test_collecting_imports_no_framework(tmp_path: Path) -> None:
    """Collecting takes every installed implementation that is not slow, and imports none."""
    found = run_pytest_and_look("--pyargs", "bnconform", "--collect-only", "-q", cwd=tmp_path)
    assert found.status == 0, found.out
    assert "numpy" in found.imported()
    assert not found.imported() & set(FRAMEWORKS)
    for entry in REGISTRY:
        collected = sum(line.endswith(f"[{entry.name}]") for line in found.out.splitlines())
        assert collected == (0 if entry.slow or entry.missing() else len(laws())), entry.name


def test_slow_implementations_are_there_for_those_who_ask(tmp_path: Path) -> None:
    """--bn-slow collects those that take minutes, too."""
    found = conformance("--bn-slow", "--bn-requirement=F1", "--collect-only", "-q", cwd=tmp_path)
    for entry in REGISTRY:
        assert (f"[{entry.name}]" in found.out) == (not entry.missing()), entry.name


def test_implementations_live_beside_each_other(tmp_path: Path) -> None:
    """Keras on two backends, one of them in a process of its own, is judged in one run."""
    if find("keras.tensorflow").missing() or find("keras.jax").missing():
        pytest.skip(f"needs Keras on two backends: {find('keras.jax').install}")
    chosen = ("--bn-adapter=keras.tensorflow", "--bn-adapter=keras.jax", "--bn-requirement=F5", "--bn-examples=1")
    found = conformance(*chosen, cwd=tmp_path)
    assert found.status == 0, found.out
    assert "2 passed" in found.out


@pytest.mark.parametrize(
    "more", [(), ("-n", "1"), ("--hypothesis-profile=ci",)], ids=["alone", "workers", "with a profile of Hypothesis"]
)
def test_foreign_project_does_not_notice(foreign: Path, more: tuple[str, ...]) -> None:
    """Plain pytest in another project imports nothing heavy, warns of nothing and prints nothing of ours."""
    found = run_pytest_and_look(*more, cwd=foreign)
    assert found.status == 0, found.out
    assert "2 passed" in found.out
    assert "warnings summary" not in found.out
    assert "batch-norm" not in found.out
    assert "bnconform.plugin" in found.imported()
    without = run_pytest_and_look("-p", "no:bnconform.plugin", *more, cwd=foreign)
    assert not (found.imported() - without.imported()) & HEAVY  # other plugins may import what they like


def test_foreign_workers_run_without_any_framework(foreign: Path) -> None:
    """Workers of another project run where no framework is installed."""
    hide = "import importlib.util as u\nf = u.find_spec\n"
    hide += f"u.find_spec = lambda n, package=None: None if n in {FRAMEWORKS!r} else f(n, package)\n"
    (foreign / "conftest.py").write_text(hide)
    found = run("-m", "pytest", "-p", "no:cacheprovider", "-n", "1", cwd=foreign)
    assert found.status == 0, found.out + found.err


def test_requirement_marker_is_registered(foreign: Path) -> None:
    """Under --strict-markers the suite's marker is known and explained."""
    found = run("-m", "pytest", "--markers", cwd=foreign)
    assert "@pytest.mark.bn_requirement(id): the law of the catalogue that this test checks" in found.out


def test_suite_runs_inside_a_foreign_project(foreign: Path) -> None:
    """`pytest --pyargs bnconform --bn-adapter FILE` works there, under that project's strict rules."""
    (foreign / "kernel.py").write_text(starter())
    chosen = ("--bn-adapter=kernel.py", "--bn-requirement=F1", "--bn-requirement=S1", "--hypothesis-profile=quick")
    found = conformance(*chosen, cwd=foreign)
    assert found.status == 0, found.out + found.err
    assert "batch-norm conformance" in found.out


def test_both_run_together(foreign: Path) -> None:
    """Their tests and ours may share one run."""
    (foreign / "kernel.py").write_text(starter())
    chosen = ("--bn-adapter=kernel.py", "--bn-requirement=F1", "--hypothesis-profile=quick")
    found = conformance("tests/test_theirs.py", *chosen, cwd=foreign)
    assert found.status == 0, found.out + found.err
    assert "3 passed" in found.out


def test_requirement_is_found_by_keyword(tmp_path: Path) -> None:
    """`-k F2` finds a law by its id."""
    (tmp_path / "kernel.py").write_text(starter())
    found = conformance("--bn-adapter=kernel.py", "-k", "F2", "--collect-only", "-q", cwd=tmp_path)
    assert [line for line in found.out.splitlines() if "::" in line] == [
        line for line in found.out.splitlines() if "test_normalizing_variance_is_biased[kernel.py]" in line
    ]
    assert "test_normalizing_variance_is_biased[kernel.py]" in found.out


def test_two_adapters_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two files of the same name would share their cells of the matrix; they are refused in one line."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kernel.py").write_text(starter())
    found = conformance("--bn-adapter=one/kernel.py", "--bn-adapter=two/kernel.py", cwd=tmp_path)
    assert found.status == 4, found.out + found.err
    assert found.err.strip() == "ERROR: two adapters are called 'kernel.py'; rename one of the files"
