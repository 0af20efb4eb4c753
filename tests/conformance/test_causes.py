"""The probable causes on the page of vet, and the conventions that it offers instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from suite_runs import judge, replaced, starter

from bnconform.cases.case_file import to_json
from bnconform.running import causes
from bnconform.running.implementation import Implementation
from bnconform_adapters.registry import load

BIASED = (" * (n / (n - 1))", "")
CONVENTION = "or other conventions; if they are meant: CLAIMS = {'stored_variance': 'biased'}"


def broken(path: Path, *ids: str) -> tuple[Implementation, list[dict[str, Any]]]:
    """Judge laws that a file breaks; return it, and its cells as a record lists them."""
    adapter, cells = load(str(path)), []
    for id in ids:
        found, _ = judge(adapter, id, examples=20, spec=str(path))
        assert found is not None, id
        finding = {"problem": found.finding.problem}
        cells.append({"requirement": id, "finding": finding, "witness": to_json(found.steps)})
    return Implementation(adapter.name, str(path), None, adapter), cells


def test_conventions_that_explain_a_result_are_offered(tmp_path: Path) -> None:
    """A file that stores the biased variance gets the line that claims it."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), [BIASED]))
    found = causes.probable_causes(*broken(path, "S2"), 30.0, 0.0)
    assert found[0] == "running_var in training: the stored variance divides by n: it is biased"
    assert found[1].startswith(CONVENTION)


def test_conventions_that_explain_nothing_are_not_offered(tmp_path: Path) -> None:
    """A wrong eps is no convention, though another fixed eps is measured."""
    path = tmp_path / "kernel.py"
    text = starter().replace('CLAIMS = {"dtypes"', 'CLAIMS = {"fixed_eps": 0.01, "dtypes"')
    path.write_text(text.replace("np.sqrt(variance + eps)", "(np.sqrt(variance) + 0.01)"))
    found = causes.probable_causes(*broken(path, "F1"), 30.0, 0.0)
    assert not any("conventions" in line for line in found)


def test_many_causes_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More causes than a reader could act on are not shown."""
    path = tmp_path / "kernel.py"
    path.write_text(replaced(starter(), [BIASED]))
    one, cells = broken(path, "S2")
    for number, shown in ((causes.MOST, causes.MOST), (causes.MOST + 1, 0)):
        monkeypatch.setattr("bnconform.diagnosis.diagnose", lambda *given, n=number: [f"cause {i}" for i in range(n)])
        assert sum(line.startswith("cause") for line in causes.probable_causes(one, cells, 30.0, 0.0)) == shown
