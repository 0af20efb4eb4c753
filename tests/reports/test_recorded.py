"""The parts of results.json that the report needs: commands, scripts, and measurements that were asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from bnconform_reports.records.reading import read
from bnconform_reports.records.schema import Results

ASKED = (
    "--bn-adapter=kernel.py",
    "--bn-requirement=F1",
    "--hypothesis-profile=quick",
    "--hypothesis-seed=3",
    "--bn-report=out",
)


def recorded(folder: Path, *options: str) -> Results:
    """The record of a run on a kernel whose eps is outside the root."""
    text = (resources.files("bnconform") / "starters" / "numpy_functions.py").read_text()
    assert text.count("np.sqrt(variance + eps)") == 1
    (folder / "kernel.py").write_text(text.replace("np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)"))
    quick = ("-p", "no:cacheprovider", "--assert=plain")
    command = [sys.executable, "-m", "pytest", "--pyargs", "bnconform", *quick, *ASKED, *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS", "CI"))}
    subprocess.run(command, cwd=folder, env=kept, capture_output=True, check=False)
    return read(folder / "out" / "results.json")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The folder and the record of a run that measures nothing."""
    folder = tmp_path_factory.mktemp("plain")
    return folder, recorded(folder)


MEASURED = ("--bn-adapter=reference", "--bn-requirement=S1", "--bn-identify", "--bn-measure")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The record of a run that also has the reference, another law, dialects and deviations."""
    return recorded(tmp_path_factory.mktemp("asked"), *MEASURED)


def test_broken_cell_has_its_command_and_a_script_that_shows_it(plain: tuple[Path, Results]) -> None:
    """A broken cell has the command that judges it again, and a script that shows the defect on that very file."""
    folder, record = plain
    (cell,) = record.cells
    assert cell.verdict == "breaks"
    told = "--bn-adapter kernel.py --bn-requirement F1 --hypothesis-profile=quick --hypothesis-seed=3"
    assert cell.again == f"pytest --pyargs bnconform {told}"
    (folder / "show.py").write_text(cell.script)
    done = subprocess.run([sys.executable, "show.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the defect is there" in done.stdout


def test_dialect_and_fixed_cases_are_recorded_where_asked_for(plain: tuple[Path, Results], asked: Results) -> None:
    """--bn-identify and --bn-measure record the dialect and the deviations; without them neither is measured."""
    assert (plain[1].identities, plain[1].measures) == ({}, {})
    assert asked.identities["kernel.py"]["dialect"]["momentum_weighs"] == "new"
    answers = {answer["field"]: answer["value"] for answer in asked.identities["kernel.py"]["answers"]}
    assert answers["place of eps in training"] == "outside the root"
    points = asked.measures["kernel.py"]["points"]
    ratios = [point["worst"]["y"]["ratio"] for point in points if "y" in point["worst"]]
    assert max(ratios) > 1


def test_workers_of_xdist_change_nothing_of_the_record(asked: Results, tmp_path: Path) -> None:
    """With several processes the record is the same except for its date."""
    alone, shared = asked.as_data(), recorded(tmp_path, *MEASURED, "-n", "2", "--dist=loadgroup").as_data()
    alone.pop("created")
    shared.pop("created")
    assert shared == alone
    assert all(alone[part] for part in ("cells", "drawn", "identities", "measures"))
