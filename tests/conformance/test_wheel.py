"""The wheel, built once: what is in it, what is not, and that it works without the tree."""

from __future__ import annotations

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from suite_runs import ROOT, conformance, run, starter

PACKAGES = ("bnconform_reference", "bnconform_adapters", "bnconform", "bnconform_reports")
DATA_SUFFIXES = {".toml", ".json", ".npz", ".typed", ".html", ".css", ".js", ".j2"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The project's wheel."""
    folder = tmp_path_factory.mktemp("dist")
    built = run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert built.status == 0, built.out + built.err
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


def names(wheel: zipfile.Path) -> set[str]:
    """Paths of the files in the wheel."""
    return {name for name in wheel.root.namelist() if not name.endswith("/")}


def test_wheel_has_the_four_packages_and_nothing_else(wheel: zipfile.Path) -> None:
    """At the top of the wheel lie the four packages and its own metadata."""
    tops = {name.partition("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    for package in PACKAGES:
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names(wheel)


@pytest.mark.parametrize("room", ["reference", "adapters", "conformance", "reports"])
def test_wheel_has_every_module_and_data_file(wheel: zipfile.Path, room: str) -> None:
    """Every module, witness, ledger, data file and type marker of the tree is in the wheel."""
    (package,) = (ROOT / room).glob("bnconform*")
    for path in package.rglob("*"):
        if path.suffix in {".py", *DATA_SUFFIXES} and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT / room).as_posix() in names(wheel)


def test_wheel_has_the_ledger_with_its_witnesses_and_the_digits(wheel: zipfile.Path) -> None:
    """The ledger, its witnesses and the digits are among them."""
    assert {"bnconform/deviations/ledger.toml", "bnconform/data/digits.npz"} <= names(wheel)
    assert any(name.startswith("bnconform/deviations/") and name.endswith(".json") for name in names(wheel))


def test_wheel_has_no_tests_of_the_suites_own(wheel: zipfile.Path) -> None:
    """Only laws are called test_*; nothing of tests/ or benchmarks/ is shipped, and no byte code."""
    for name in names(wheel):
        assert not name.startswith(("tests/", "benchmarks/")), name
        assert "__pycache__" not in name
        assert "conftest" not in name
        if "/test_" in name:
            assert (ROOT / "conformance" / name).is_file(), name


def test_metadata_names_entry_points_and_extras(wheel: zipfile.Path) -> None:
    """The wheel offers the command and the plugin, the extras, and a licence."""
    (info,) = (entry for entry in wheel.iterdir() if entry.name.endswith(".dist-info"))
    points = (info / "entry_points.txt").read_text()
    assert "bnconform = bnconform.cli:main" in points
    assert "bnconform.plugin = bnconform.plugin" in points
    metadata = Parser().parsestr((info / "METADATA").read_text())
    extras = set(metadata.get_all("Provides-Extra") or ())
    assert {"torch", "jax", "tensorflow", "kernel", "report", "all", "dev"} <= extras
    assert (info / "licenses" / "LICENSE").is_file()
    base = [need for need in metadata.get_all("Requires-Dist") or () if "extra ==" not in need]
    assert len(base) == 4, "numpy, hypothesis, pytest, ml_dtypes"


def test_unpacked_wheel_judges_a_candidate(wheel: zipfile.Path, tmp_path: Path) -> None:
    """What the wheel holds is enough to judge a file, without the tree, beside folders of the tree's names."""
    site, project = tmp_path / "site", tmp_path / "project"
    wheel.root.extractall(site)
    for name in ("adapters", "conformance", "reference", "reports"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise RuntimeError('not the suite')\n")
    (project / "conftest.py").write_text("import pytest\n")
    (project / "kernel.py").write_text(starter())
    variables = {"PYTHONPATH": str(site)}
    where = run("-c", "import bnconform; print(bnconform.__file__)", cwd=project, variables=variables)
    assert where.out.strip() == str(site / "bnconform" / "__init__.py")
    profile = "--hypothesis-profile=quick"
    found = conformance("--bn-adapter=kernel.py", "--bn-requirement=F1", profile, cwd=project, variables=variables)
    assert found.status == 0, found.out + found.err
    found = run(
        "-m", "bnconform.cli", "vet", "kernel.py", "--requirement=F1", profile, cwd=project, variables=variables
    )
    assert found.status == 0, found.out + found.err
    assert found.out.startswith("kernel.py CONFORMS")
