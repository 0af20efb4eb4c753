"""The ledger of known deviations: entries are complete, and one that is not true fails the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import laws, replaced, starter

from bnconform.cases import case_file
from bnconform.deviations import ledger
from bnconform.requirements import BY_ID
from bnconform.running.examiner import Examiner
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import REGISTRY, create, find

BIASED = ((" * (n / (n - 1))", ""),)
# Wrong in float64 only.
BIASED_DOUBLES = ((" * (n / (n - 1))", " * (1.0 if x.dtype == np.float64 else n / (n - 1))"),)
CASE = Case(
    np.array([[0.25, 2], [1, -3]], np.float32),
    running_mean=np.zeros(2, np.float32),
    running_var=np.ones(2, np.float32),
)


@pytest.mark.parametrize("entry", ledger.deviations(), ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_entry_is_complete(entry: ledger.Deviation) -> None:
    """An entry names what exists, says what happens in one line, and where it was seen."""
    found = find(entry.implementation)
    assert entry.requirement in BY_ID
    assert entry.kind in ("bug", "numerics", "robustness")
    assert entry.reason
    assert "\n" not in entry.reason
    seen = {version.partition("==")[0].strip() for version in entry.versions.split(",")}
    assert seen == {distribution for _, distribution in found.packages}
    assert not entry.link or entry.link.startswith("https://")


def test_every_witness_belongs_to_an_entry() -> None:
    """No case file lies beside the ledger that no entry names; implementations with one defect may share one."""
    folder = Path(ledger.__file__).parent
    named = {entry.witness for entry in ledger.deviations()}
    assert named == {path.name for path in folder.glob("*.json")}


def test_implementations_are_registered() -> None:
    """Every implementation of the ledger is in the registry."""
    assert {entry.implementation for entry in ledger.deviations()} <= {entry.name for entry in REGISTRY}


MadeUp = Callable[..., None]


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUp]:
    """Puts another ledger in the place of the real one: entries as dicts, all with the same witness."""

    def put(*entries: dict[str, Any], witness: Case = CASE) -> None:
        base = {"implementation": "kernel.py", "requirement": "S1", "kind": "bug", "versions": "kernel==1"}
        lines: list[str] = []
        for entry in entries:
            lines.append("[[deviation]]")
            whole = base | {"reason": "stores the biased variance", "witness": "case.json"} | entry
            lines += [f"{name} = {toml(value)}" for name, value in whole.items()]
        (tmp_path / "ledger.toml").write_text("\n".join(lines))
        case_file.write(tmp_path / "case.json", (witness,))
        monkeypatch.setattr(ledger, "_folder", lambda: tmp_path)
        ledger.deviations.cache_clear()

    yield put
    monkeypatch.undo()
    ledger.deviations.cache_clear()


def examine(folder: Path, edits: tuple[tuple[str, str], ...]) -> tuple[dict[str, Any], BaseException | None]:
    """Judge S1 on the starter file with edits as a run does; give the cell, and pytest's outcome."""
    (folder / "kernel.py").write_text(replaced(starter(), edits))
    session = Session(RunOptions((str(folder / "kernel.py"),), profile="quick", seed=0))
    cells: list[dict[str, Any]] = []
    outcome = None
    try:
        Examiner(session, session.implementations[0], cells.append).examine(laws()["S1"])
    except (pytest.fail.Exception, pytest.xfail.Exception) as raised:
        outcome = raised
    (cell,) = cells
    return cell, outcome


def test_known_deviation_is_an_expected_failure(made_up: MadeUp, tmp_path: Path) -> None:
    """A deviation whose witness breaks its law is shown as broken and known, and fails nothing."""
    made_up({"link": "https://example.org/1"})
    cell, outcome = examine(tmp_path, BIASED)
    assert isinstance(outcome, pytest.xfail.Exception)
    assert "known bug: stores the biased variance" in str(outcome)
    assert cell["verdict"] == "breaks"
    assert cell["known"]["link"] == "https://example.org/1"
    assert cell["witness"]["steps"]


def test_stale_entry_fails(made_up: MadeUp, tmp_path: Path) -> None:
    """An entry whose witness no longer breaks its law fails the run and says what to do."""
    made_up({})
    cell, outcome = examine(tmp_path, ())
    assert isinstance(outcome, pytest.fail.Exception)
    assert "S1 on kernel.py: the ledger's entry is stale" in str(outcome)
    assert "remove the entry from ledger.toml" in str(outcome)
    assert cell["verdict"] == "breaks"
    assert "known" not in cell


def test_deviation_without_an_entry_fails(made_up: MadeUp, tmp_path: Path) -> None:
    """What is broken without an entry of its own requirement fails."""
    made_up({"requirement": "F1"})
    cell, outcome = examine(tmp_path, BIASED)
    assert isinstance(outcome, pytest.fail.Exception)
    assert "known" not in cell


DOUBLE = Case(*(a.astype(np.float64) for a in (CASE.x, CASE.x)), running_mean=np.zeros(2), running_var=np.ones(2))
ELSEWHERE = {"elsewhere": [{"dtypes": ["float32"]}]}


def test_elsewhere_is_still_searched(made_up: MadeUp, tmp_path: Path) -> None:
    """Where the law is said to hold elsewhere, it is searched there, and the deviation stays known."""
    made_up(ELSEWHERE, witness=DOUBLE)
    cell, outcome = examine(tmp_path, BIASED_DOUBLES)
    assert isinstance(outcome, pytest.xfail.Exception)
    assert cell["cases"] > 0


def test_elsewhere_breaking_too_fails(made_up: MadeUp, tmp_path: Path) -> None:
    """A law that breaks where the ledger says it holds fails the run, with that case."""
    made_up(ELSEWHERE, witness=DOUBLE)
    cell, outcome = examine(tmp_path, BIASED)
    assert isinstance(outcome, pytest.fail.Exception)
    assert "  case      f32[" in str(outcome)
    assert "known" not in cell


def test_without_elsewhere_only_the_witness_is_judged(made_up: MadeUp, tmp_path: Path) -> None:
    """Where a law is known to be broken everywhere, nothing is searched."""
    made_up({})
    cell, _ = examine(tmp_path, BIASED)
    assert cell["cases"] == 0


@pytest.mark.parametrize(
    "entries",
    [({}, {"kind": "numerics"}), ({"requirement": "Z9"},)],
    ids=["two entries for one", "unknown requirement"],
)
def test_bad_ledger_is_refused(made_up: MadeUp, entries: tuple[dict[str, Any], ...]) -> None:
    """Two entries for an implementation and a requirement, and an unknown requirement, are refused by name."""
    made_up(*entries)
    with pytest.raises(ValueError, match=r"kernel.py (S1|Z9)"):
        ledger.deviations()


def test_cause_narrows_the_other_laws(made_up: MadeUp) -> None:
    """Where an entry is the cause of others, the other laws are judged elsewhere only; without it, everywhere."""
    claims = create(find("torch")).claims
    made_up({"requirement": "N1", **ELSEWHERE, "cause": True})
    (narrowed,) = ledger.domains("kernel.py", "F1", claims)
    assert narrowed == replace(claims, dtypes=("float32",))
    assert ledger.domains("kernel.py", "N1", claims) == [claims]
    assert ledger.domains("another.py", "F1", claims) == [claims]
