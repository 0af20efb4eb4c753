"""Equal seeds give equal results; other seeds give equal verdicts; so do several workers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from suite_runs import conformance, replaced, starter

# One candidate that breaks laws, so that shrinking is repeated too.
FILES = {
    "kernel.py": starter(),
    "biased.py": replaced(starter(), ((" * (n / (n - 1))", ""),)),
}


FEW = ("F1", "G1", "N1", "P1", "S2", "S4")
KINDS = (*FEW, "E1", "G9", "G10", "I1", "M1", "S11", "T1", "X1", "Y1")
"""Laws of all families and with all kinds of cases, of which some are not claimed."""


def results(folder: Path, name: str, seed: int, *more: str, laws: Iterable[str] = FEW) -> dict[str, Any]:
    """The record of a quick run under a seed."""
    chosen = [f"--bn-adapter={file}" for file in FILES]
    chosen += [f"--bn-report={name}", "--hypothesis-profile=quick", f"--hypothesis-seed={seed}"]
    chosen += [f"--bn-requirement={id}" for id in laws]
    found = conformance(*chosen, *more, cwd=folder)
    assert found.status == 1, found.out + found.err
    data: dict[str, Any] = json.loads((folder / name / "results.json").read_text())
    data.pop("created")
    return data


def verdicts(data: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Requirement and implementation to verdict."""
    return {(cell["requirement"], cell["implementation"]): cell["verdict"] for cell in data["cells"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the candidates."""
    path = tmp_path_factory.mktemp("runs")
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, Any]:
    """The run to compare with."""
    return results(folder, "first", 7, laws=KINDS)


def test_equal_seeds_give_equal_results(folder: Path, first: dict[str, Any]) -> None:
    """The same seed gives the same results.json, witnesses and worst cases included, but for its date."""
    assert results(folder, "second", 7, laws=KINDS) == first
    assert {cell["verdict"] for cell in first["cells"]} >= {"meets", "breaks", "not claimed"}


def test_other_seeds_give_equal_verdicts(folder: Path, first: dict[str, Any]) -> None:
    """Another seed draws other cases and comes to the same verdicts."""
    other = results(folder, "other", 8)
    assert verdicts(other) == {key: verdict for key, verdict in verdicts(first).items() if key[0] in FEW}
    assert other["cells"] != [cell for cell in first["cells"] if cell["requirement"] in FEW]


def test_workers_give_equal_cells(folder: Path, first: dict[str, Any]) -> None:
    """pytest-xdist's workers draw the same cases and their cells arrive."""
    workers = results(folder, "workers", 7, "-n", "2")
    assert workers["cells"] == [cell for cell in first["cells"] if cell["requirement"] in FEW]
    assert workers["seed"] == first["seed"]


def test_workers_share_a_drawn_seed(folder: Path) -> None:
    """Without a seed, all workers use the one that is on record: running it again gives the same cells."""
    chosen = ["--bn-adapter=kernel.py", "--bn-requirement=F1", "--bn-requirement=G1", "--hypothesis-profile=quick"]
    assert conformance(*chosen, "--bn-report=drawn", "-n", "2", cwd=folder).status == 0
    drawn = json.loads((folder / "drawn" / "results.json").read_text())
    seed = f"--hypothesis-seed={drawn['seed']}"
    assert conformance(*chosen, "--bn-report=again", seed, cwd=folder).status == 0
    again = json.loads((folder / "again" / "results.json").read_text())
    assert again["cells"] == drawn["cells"]
