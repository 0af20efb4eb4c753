"""Records of several runs: merging is the union of sets, and the merged view does not depend on their order."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_runs import KNOWN, broken, cell, merge, run, small

from bnconform.requirements import BY_ID
from bnconform_reports.records.merging import merged
from bnconform_reports.records.reading import read_runs
from bnconform_reports.records.schema import RUNS_SCHEMA, Cell, Results, ResultsError, Runs

NAMES = ("torch", "kernel.py")
IDS = ("F1", "S1", "N1")
REQUIREMENTS = {id: {"level": BY_ID[id].level, "statement": BY_ID[id].statement} for id in IDS}
FEW = settings(max_examples=40)


def cells() -> st.SearchStrategy[tuple[Cell, ...]]:
    """Cells of a few requirements and implementations, of all verdicts."""
    verdicts = st.sampled_from(["meets", "differs", "breaks", "not claimed", "not run"])
    ratios = st.sampled_from([0.0, 0.5, 3.0, float("inf"), float("nan")])
    one = st.builds(
        lambda verdict, ratio, cases, grade, known: cell(
            "F1", "torch", verdict, worst_ratio=ratio, cases=cases, grade=grade, known=known
        ),
        verdicts,
        ratios,
        st.integers(0, 5),
        st.sampled_from(["", "TT", "NN"]),
        st.sampled_from([None, KNOWN]),
    )
    places = st.sets(st.sampled_from([(id, name) for id in IDS for name in NAMES]), min_size=1)
    return places.flatmap(
        lambda chosen: st.tuples(
            *(one.map(lambda c, p=place: replace(c, requirement=p[0], implementation=p[1])) for place in sorted(chosen))
        )
    )


def records() -> st.SearchStrategy[Results]:
    """Runs of few days, seeds and versions, so that equal ones come up."""
    return st.builds(
        lambda found, day, seed, version: run(
            found,
            created=f"2026-11-0{day}T00:00:00+00:00",
            seed=seed,
            implementations={name: {"torch": version} if name == "torch" else {} for name in NAMES},
            requirements=REQUIREMENTS,
        ),
        cells(),
        st.integers(1, 2),
        st.integers(0, 1),
        st.sampled_from(["2.12.0", "2.13.0"]),
    )


def sets() -> st.SearchStrategy[Runs]:
    """Sets of up to three runs."""
    return st.lists(records(), max_size=3).map(Runs.of)


def text(runs: Runs, folder: Path) -> bytes:
    """The file of a set of runs."""
    runs.write(folder / "results.json")
    return (folder / "results.json").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for files."""
    return tmp_path_factory.mktemp("runs")


@FEW
@given(sets(), sets(), sets())
def test_merging_is_associative(folder: Path, a: Runs, b: Runs, c: Runs) -> None:
    """However sets of runs are grouped, merging them gives the same bytes and the same view."""
    left, right = a.merge(b.merge(c)), a.merge(b).merge(c)
    assert text(left, folder) == text(right, folder)
    assert repr(merged(left)) == repr(merged(right))


@FEW
@given(st.lists(records(), min_size=1, max_size=3))
def test_merging_is_free_of_order(folder: Path, runs: list[Results]) -> None:
    """In any order, merging runs gives the same bytes and the same view."""
    found = {(text(Runs.of(order), folder), repr(merged(Runs.of(order)))) for order in permutations(runs)}
    assert len(found) == 1


@FEW
@given(sets())
def test_merging_with_itself_changes_nothing(folder: Path, a: Runs) -> None:
    """A run that is given twice is one run: no count grows."""
    assert text(a.merge(a), folder) == text(a, folder)


@FEW
@given(sets())
def test_set_of_runs_is_read_as_written(folder: Path, a: Runs) -> None:
    """A file of runs gives the same set again, infinities and NaN included."""
    before = text(a, folder)
    assert text(read_runs(folder / "results.json"), folder) == before


def test_one_run_is_a_set_of_one(tmp_path: Path) -> None:
    """A record as a run writes it is read as a set of that run."""
    small().write(tmp_path / "results.json")
    assert repr(read_runs(tmp_path / "results.json")) == repr(Runs.of([small()]))


def test_worst_verdict_stands_and_cases_add() -> None:
    """If runs disagree on a cell, the worst verdict counts; cases are added, and errors are the largest."""
    held = run([cell("F1", "torch", cases=10, elements=40, worst_ratio=0.5, worst_ulp=9000.0)])
    fell = run([broken("F1", "torch", 3.0, cases=2, elements=4)], seed=8)
    found = merge(held, fell).cell("F1", "torch")
    assert found is not None
    assert (found.verdict, found.cases, found.elements) == ("breaks", 12, 44)
    assert (found.worst_ratio, found.worst_ulp) == (3.0, 9000.0)
    assert found.script == broken("F1", "torch").script


@pytest.mark.parametrize(
    ("a", "b", "stands"),
    [
        ("not run", "not claimed", "not claimed"),
        ("not claimed", "meets", "meets"),
        ("meets", "differs", "differs"),
        ("differs", "breaks", "breaks"),
        ("not run", "meets", "meets"),
    ],
)
def test_verdicts_from_bad_to_worse(a: str, b: str, stands: str) -> None:
    """A verdict on what was observed counts more than one that is not, and a worse one more than a better one."""
    runs = Runs.of([run([cell("F1", "torch", a)]), run([cell("F1", "torch", b)], seed=8)])
    found = merged(runs).cell("F1", "torch")
    assert found is not None
    assert found.verdict == stands


def test_new_finding_stands_over_a_known_one() -> None:
    """A broken cell that one run does not find on its ledger is not known."""
    runs = Runs.of([run([broken("X3", "torch", 1e6, known=KNOWN)]), run([broken("X3", "torch")], seed=8)])
    found = merged(runs).cell("X3", "torch")
    assert found is not None
    assert found.known is None


def test_other_versions_are_another_column() -> None:
    """An implementation that ran in two versions has two columns, which name them."""
    old = run([cell("F1", "torch")], implementations={"torch": {"torch": "2.12.0"}})
    new = run([broken("F1", "torch")], implementations={"torch": {"torch": "2.13.0"}})
    found = merge(new, old)
    verdicts = {label: found.cells["F1", label].verdict for label in (column.label for column in found.columns)}
    assert verdicts == {"torch (torch 2.12.0)": "meets", "torch (torch 2.13.0)": "breaks"}


def test_alone_needs_two_that_hold_the_law() -> None:
    """An implementation is alone if no other breaks the law and two or more meet it."""
    cells = [broken("F1", "a"), cell("F1", "b"), cell("F1", "c", "differs")]
    cells += [broken("F2", "a"), cell("F2", "b"), cell("F2", "c", "not claimed")]
    cells += [broken("F3", "a"), broken("F3", "b"), cell("F3", "c"), cell("F3", "d")]
    assert merge(run(cells)).alone == {("F1", "a")}


def test_shard_without_an_implementation_does_not_hide_it() -> None:
    """An implementation that one run could not run and another did is not listed as not run."""
    without = run([cell("F1", "torch")], not_run={"flax.linen": "needs flax", "tf.fused": "needs tensorflow-cpu"})
    found = merge(without, run([cell("F1", "flax.linen")], seed=8))
    assert found.not_run == {"tf.fused": "needs tensorflow-cpu"}


DAMAGES = {
    "verdict": lambda data: data["cells"][0].update(verdict="passes"),
    "place": lambda data: data["cells"][0].update(implementation="nobody"),
    "requirement": lambda data: data["cells"][0].update(requirement="Z1"),
    "count": lambda data: data["cells"][0].update(cases="many"),
    "twice": lambda data: data["cells"].append(data["cells"][0]),
    "witness": lambda data: data["cells"][3].update(witness={"format": "bnconform.case/1", "steps": [{"x": 3}]}),
    "finding": lambda data: data["cells"][3]["finding"].pop("ulp"),
    "known": lambda data: data["cells"][0].update(known={"kind": "bug"}),
    "statement": lambda data: data["requirements"]["F1"].pop("statement"),
    "versions": lambda data: data.update(versions=[]),
    "dialect": lambda data: data["identities"]["torch"]["dialect"].update(one_value="perhaps"),
    "answers": lambda data: data["identities"]["torch"].update(answers=["new"]),
    "points": lambda data: data["measures"]["torch"].update(points=3),
    "handed": lambda data: data["measures"]["torch"]["handed"].update(rank=10**9),
    "handed more": lambda data: data["measures"]["torch"]["handed"].update(more=1),
    "handed less": lambda data: data["measures"]["torch"]["handed"].pop("eps"),
    "handed dtype": lambda data: data["measures"]["torch"]["handed"].update(dtype="float8"),
    "worst": lambda data: data["measures"]["torch"]["points"][0]["worst"]["y"].pop("ratio"),
    "deviations": lambda data: data["measures"]["torch"]["points"][0]["deviations"]["y"].append(1.0),
    "numbers": lambda data: data["measures"]["torch"]["points"][0]["deviations"].update(y=["much", 1.0]),
    "cells": lambda data: data.update(cells=3),
    "cell": lambda data: data.update(cells=[None]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("several", [False, True])
def test_damaged_record_is_refused_in_one_line(damage: str, several: bool, tmp_path: Path) -> None:
    """A record in which a part is missing or of another kind is refused in one line that names the file."""
    path = tmp_path / "results.json"
    if several:
        Runs.of([small()]).write(path)
    else:
        small().write(path)
    data = json.loads(path.read_text())
    DAMAGES[damage](data["runs"][0] if several else data)
    path.write_text(json.dumps(data))
    with pytest.raises(ResultsError) as refusal:
        read_runs(path)
    assert str(refusal.value).startswith(f"{path} is damaged: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "is not JSON"),
        (b'{"schema": "bnconform.results/3", "created": "20', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"3", "has schema None"),
        (b'{"tests": []}', "has schema None"),
        (b'{"schema": "bnconform.results/1", "cells": []}', "has schema 'bnconform.results/1'; this version reads"),
        (b'{"schema": "bnconform.runs/1", "runs": []}', "has schema 'bnconform.runs/1'; this version reads"),
        (json.dumps({"schema": RUNS_SCHEMA, "runs": {}}).encode(), "runs is not a list"),
        (json.dumps({"schema": RUNS_SCHEMA, "runs": [{}]}).encode(), "is damaged: no 'cells'"),
    ],
    ids=["empty", "truncated", "binary", "deep", "number", "foreign", "earlier", "earlier runs", "runs", "hollow"],
)
def test_foreign_file_is_refused_in_one_line(content: bytes, hint: str, tmp_path: Path) -> None:
    """A truncated or foreign file, or one of another schema, is refused in one line that names it."""
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(ResultsError) as refusal:
        read_runs(path)
    assert hint in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
