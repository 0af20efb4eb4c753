"""A project of any names runs the same with the wheel installed and without it: same output, same exit status.

Two folders of packages are laid out: one with pytest, Hypothesis, xdist and NumPy, one with the wheel beside them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from suite_runs import ROOT, Run, run, starter

NEEDED = ("pytest", "hypothesis", "pytest-xdist", "numpy", "ml_dtypes")
PROJECT = {
    "pytest.ini": (
        "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"
        "adapter = theirs\nbudget = 12\nmarkers =\n    requirement(id): theirs\n    slow: theirs\n"
    ),
    "conftest.py": """
import pytest
from hypothesis import settings

for name, examples in (("quick", 3), ("thorough", 7), ("ci", 5)):
    settings.register_profile(name, max_examples=examples)


def pytest_addoption(parser):
    for name in (
        "slow report requirement identify measure adapter time-limit in-process budget examples level list-adapters"
    ).split():
        parser.addoption(f"--{name}", action="store_true", help="theirs")
    parser.addini("adapter", "theirs")
    parser.addini("budget", "theirs")


@pytest.fixture
def implementation():
    return "theirs"


@pytest.fixture
def examiner():
    return "theirs, too"
""",
    "test_theirs.py": """
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

seen = []


@given(st.integers())
def test_profile(n):
    seen.append(n)


def test_examples_are_those_of_the_profile():
    print("max_examples", settings().max_examples)
    assert len(seen) <= settings().max_examples


@pytest.mark.requirement("R1")
@pytest.mark.slow
def test_fixtures(implementation, examiner, request):
    assert (implementation, examiner) == ("theirs", "theirs, too")
    assert request.config.getini("adapter") == "theirs"
    print("options", [request.config.getoption(f"--{name}") for name in ("slow", "report", "budget", "level")])


def test_fails():
    assert settings().max_examples == 0, "on purpose"
""",
}
RUNS = {
    "alone": (),
    "on workers": ("-n", "1"),
    "with its own options and profile": ("--slow", "--report", "--budget", "--hypothesis-profile=thorough", "-rA"),
    "with a profile that it has not": ("--hypothesis-profile=nightly",),
    "without the plugin of xdist": ("-p", "no:xdist"),
    "without other plugins": ("-p", "no:terminal", "-p", "no:hypothesispytest"),
}
_VARIES = re.compile(r" in \d+\.\d+s|^plugins: .*$|0x[0-9a-f]+|\[gw\d\]", re.MULTILINE)
"""Seconds, the list of installed plugins, addresses, and which worker ran a test."""


def _files(name: str, seen: set[str]) -> set[Path]:
    """Top-level files and folders of a distribution and of what it requires."""
    if name in seen:
        return set()
    seen.add(name)
    try:
        found = distribution(name)
    except PackageNotFoundError:  # of another platform or Python
        return set()
    tops = {Path(str(found.locate_file(""))) / file.parts[0] for file in found.files or () if file.parts[0] != ".."}
    needs = [Requirement(text) for text in found.requires or ()]
    more = [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return tops.union(*(_files(one, seen) for one in more))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of packages, "without" and "with" the suite's wheel."""
    folder = tmp_path_factory.mktemp("sites")
    built = run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert built.status == 0, built.out + built.err
    (wheel,) = folder.glob("*.whl")
    found = {"without": folder / "without", "with": folder / "with"}
    seen: set[str] = set()
    files = set().union(*(_files(name, seen) for name in NEEDED))
    for site in found.values():
        site.mkdir()
        for path in files:
            if path.exists() and path.name != "__pycache__":
                (site / path.name).symlink_to(path)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, found["with"]], check=True)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody else's project."""
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def apart(site: Path, project: Path, *arguments: str) -> Run:
    """Run pytest with the packages of a folder and no others."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "HYPOTHESIS", "CI", "PYTHON"))}
    variables = kept | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    command = [sys.executable, "-S", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("more", RUNS.values(), ids=list(RUNS))
def test_project_runs_the_same_with_the_suite_installed(
    more: tuple[str, ...], sites: dict[str, Path], project: Path
) -> None:
    """Options, fixtures, markers, ini keys and profiles of the project are its own; nothing of ours is seen."""
    runs = {name: apart(site, project, *more) for name, site in sites.items()}
    assert runs["with"].status == runs["without"].status, runs["with"].out + runs["with"].err
    told = {name: (one.out + one.err).replace(str(sites[name]), "SITE") for name, one in runs.items()}
    lines = {name: sorted(_VARIES.sub("", text).splitlines()) for name, text in told.items()}
    assert lines["with"] == lines["without"]


def test_suite_is_there_when_asked_for(sites: dict[str, Path], project: Path) -> None:
    """In the same project the laws run, and a profile of its name keeps its own meaning there."""
    (project / "kernel.py").write_text(starter())
    asked = ("--bn-adapter=kernel.py", "--bn-requirement=F1", "--hypothesis-profile=quick", "-rA")
    assert apart(sites["without"], project, "--bn-adapter=kernel.py").status == 4
    found = apart(sites["with"], project, "--pyargs", "bnconform", *asked)
    assert found.status == 0, found.out + found.err
    assert "batch-norm conformance" in found.out
    both = apart(sites["with"], project, "--pyargs", "test_theirs.py", "bnconform", *asked)
    assert "max_examples 3" in both.out
    assert "4 passed" in both.out
