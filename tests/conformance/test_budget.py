"""A time budget: how many examples fit in, when a search ends early, and what the page says of it."""

from __future__ import annotations

import time
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from suite_runs import command, judge, laws, starter

from bnconform.judging.findings import Broken, Finding
from bnconform.running import budget
from bnconform.running.budget import Plan, plan
from bnconform.running.examiner import Examiner
from bnconform.running.options import Examples, OptionError, RunOptions
from bnconform.running.profiles import EXAMPLES
from bnconform.running.search import ENOUGH
from bnconform.running.session import Session
from bnconform.running.watch import Ended, Watch
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import create, find
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import INTERPRETED, CallOptions, Limits
from bnconform_reports.records.reading import read

MOST = EXAMPLES["default"]


def costing(monkeypatch: pytest.MonkeyPatch, small: float, element: float = 0.0, compiling: float = 0.0) -> None:
    """Let calls be measured at these seconds."""
    monkeypatch.setattr(budget, "_costs", lambda adapter: (small, element, compiling))


@pytest.mark.parametrize(
    ("small", "element", "chosen"),
    [
        (1e-4, 1e-9, ""),  # a NumPy kernel: the profile's number
        (0.01, 1e-9, "30"),
        (0.1, 1e-9, "3:interpreted"),
        (1e-4, 1e-5, "15:65536"),  # dear for each element
        (0.1, 2e-3, "3:interpreted:256"),  # Triton's interpreter
        (5.0, 5e-3, "1:interpreted:64"),
    ],
)
def test_examples_follow_from_what_a_call_costs(
    small: float, element: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number halves until the estimate fits into the budget; slow implementations get few small shapes."""
    costing(monkeypatch, small, element)
    found = plan(create(find("reference")), "default", 90.0).examples
    assert found == (Examples.read(chosen) if chosen else None)
    assert found is None or str(found) == chosen


@pytest.mark.parametrize(
    ("compiling", "chosen"),
    [
        (0.01, ""),
        (0.16, "21"),  # the JAX starter: 48 s
        (0.31, "10"),  # without its jit
        (0.6, "1"),  # a class in JAX
    ],
)
def test_compiling_lowers_the_number(compiling: float, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs count for every example, and not a whole profile's for the first."""
    costing(monkeypatch, 0.0026, 1e-9, compiling)
    adapter = create(find("reference"))
    adapter.claims = replace(adapter.claims, cost="compiles per shape")  # type: ignore[misc]
    found = plan(adapter, "default", 90.0).examples
    assert ("" if found is None else str(found)) == chosen


def test_no_budget_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a budget, or with a number that was given, no call is made, and shrinking is not cut."""
    monkeypatch.setattr(budget, "_costs", lambda adapter: pytest.fail("was called"))
    reference = create(find("reference"))
    assert plan(reference, "default", None) == Plan()
    given = Examples(4)
    assert plan(reference, "default", None, given).number == 4
    assert plan(reference, "default", 90.0, given).number == 4


def test_a_call_that_crashes_or_hangs_costs_nothing(tmp_path: Path) -> None:
    """Such calls say nothing of those that come back, and must not lower the number of cases."""
    (tmp_path / "kernel.py").write_text(starter() + "\n\ndef forward_training(*a, **k): __import__('os').abort()\n")
    with WorkerAdapter(str(tmp_path / "kernel.py")) as adapter:
        assert budget._costs(adapter) == (0.0, 0.0, 0.0)
        assert plan(adapter, "default", 90.0).examples is None


def cells_of(options: RunOptions, *ids: str) -> dict[str, dict[str, Any]]:
    """The cells of laws on the only implementation of a run."""
    session, cells = Session(options), list[dict[str, Any]]()
    examiner = Examiner(session, session.implementations[0], cells.append)
    try:
        for id in ids:
            try:
                examiner.examine(laws()[id])
            except (pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception):
                continue
    finally:
        session.close()
    return {cell["requirement"]: cell for cell in cells}


def test_equal_choices_give_equal_cases() -> None:
    """What a budget has chosen gives the same cases again when it is given; each law gets its least all the same."""
    options = RunOptions(("reference",), seed=7, examples=Examples.read("4:interpreted:512"))
    first, second = (cells_of(options, "F1", "N1", "S11") for _ in range(2))
    assert first == second
    assert (first["F1"]["cases"], first["N1"]["cases"]) == (4, 6)
    assert cells_of(RunOptions(("reference",), seed=7, examples=Examples(1)), "N1")["N1"]["cases"] == laws()["N1"].least


@pytest.mark.parametrize(
    "text", ["0", "-1", "x", "4:", "4:fast", "4:interpreted:0", "4:interpreted:9:9", "4:9:interpreted"]
)
def test_bad_choice_is_refused(text: str) -> None:
    """What no run prints is refused, and the message says what to pass."""
    with pytest.raises(OptionError, match="pass a whole number above 0"):
        Examples.read(text)


def test_sizes_are_bounded_where_elements_are_dear() -> None:
    """No x has more elements than was chosen, and the laws keep their other sizes."""
    sizes = [drawn_sizes(None), drawn_sizes(512)]
    assert max(sizes[0]) > 512 >= max(sizes[1]) > 64


def drawn_sizes(largest: int | None) -> list[int]:
    """Elements of x in the examples of X5."""
    claims = replace(create(find("reference")).claims, largest=largest)
    found: list[int] = []

    @hypothesis.seed(0)
    @hypothesis.settings(max_examples=60, database=None, deadline=None)
    @hypothesis.given(laws()["X5"].source.strategy(claims, ()))
    def note(steps: tuple[Case, ...]) -> None:
        found.extend(case.x.size for case in steps)

    note()
    return found


class Clock:
    """A clock that goes on by a second each time that it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(("seconds", "verdict"), [(12, "not judged"), (80, "meets")])
def test_law_that_runs_out_of_time(seconds: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is judged on what was seen if that is enough; else it is not judged, whatever was met so far."""
    costing(monkeypatch, 0.0)
    monkeypatch.setattr(time, "monotonic", Clock())
    cell = cells_of(RunOptions(("reference",), seed=7, budget=seconds), "F1")["F1"]
    assert cell["verdict"] == verdict
    assert 0 < cell["cases"] < MOST
    assert (cell["cases"] >= ENOUGH) == (verdict == "meets")
    assert verdict == "meets" or cell["reason"].startswith(f"the time budget of {seconds} s was over after ")


def test_law_after_the_end_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called any more when the time is over."""
    costing(monkeypatch, 0.0)
    monkeypatch.setattr(time, "monotonic", Clock())
    cells = cells_of(RunOptions(("reference",), seed=7, budget=12), "F1", "F2")
    assert (cells["F2"]["verdict"], cells["F2"]["cases"]) == ("not judged", 0)


def crash(problem: str = "crashed: SIGABRT (Aborted) in f, k.py line 7") -> Broken:
    """A broken law whose call did not come back."""
    return Broken(Finding("F1", "k.py", "call", problem), ())


def test_kind_of_crash_is_shrunk_once() -> None:
    """The law that finds it first goes on; any other ends at once, whatever the limit that the hang has reached."""
    known: dict[str, str] = {}
    first, same, other = (Watch(id, known=known) for id in ("F1", "S1", "G1"))
    first.found(crash("hung: no answer within 10 s in f, k.py line 7"))
    first.found(crash("hung: no answer within 0.5 s in f, k.py line 7"))
    with pytest.raises(Ended):
        same.found(crash("hung: no answer within 0.5 s in f, k.py line 7; it was called with x f32[2,2]"))
    assert same.smallest is not None
    assert same.smallest.finding.problem.endswith("; as in F1, whose case is the smallest found")
    other.found(crash("hung: no answer within 0.5 s in g, k.py line 9"))


def test_shrinking_is_counted() -> None:
    """After so many examples behind the first broken one the search ends with the smallest; crashes get a tenth."""
    for broken, tried in ((Broken(Finding("F1", "k", "y", "is off"), ()), 20), (crash(), 2)):
        watch = Watch("F1", shrinks=20)
        watch.begin()
        watch.found(broken)
        for _ in range(tried):
            watch.begin()
        with pytest.raises(Ended):
            watch.begin()
        assert watch.smallest is broken
    endless = Watch("F1", shrinks=inf)
    endless.found(crash())
    for _ in range(1000):
        endless.begin()


def test_hang_is_waited_for_once(tmp_path: Path) -> None:
    """`vet` on a file that hangs for three samples and more: one law shows the case, the others name that law."""
    text = starter().replace(
        "    refuse_bad_input(x, eps, weight", "    while x.shape[0] > 2: pass\n    refuse_bad_input(x, eps, weight", 1
    )
    (tmp_path / "kernel.py").write_text(text)
    asked = [f"--requirement={id}" for id in ("F1", "F3", "S1", "X2")]
    asked += ["--budget=60", "--hypothesis-profile=thorough"]  # which leave little to shrink with
    found = command("vet", "kernel.py", *asked, "--time-limit=0.5", "--report=out", cwd=tmp_path)
    assert found.status == 1, found.out + found.err
    assert found.out.startswith("kernel.py CRASHES: core 0 of 3 (broken: F1 F3 S1), robust 1 of 1")
    cells = {cell.requirement: cell for cell in read(tmp_path / "out" / "results.json").cells}
    for id in ("F3", "S1"):
        assert cells[id].finding is not None
        assert "as in F1, whose case is the smallest found" in cells[id].finding["problem"]


def test_what_was_chosen_is_printed_and_can_be_given_again(tmp_path: Path) -> None:
    """The page names the number; with it, and the seed, the record has the same cells."""
    (tmp_path / "kernel.py").write_text(starter())
    asked = ("--requirement=F1", "--requirement=F3", "--hypothesis-seed=3", "--examples=5")
    pages = [command("vet", "kernel.py", *asked, f"--report={name}", cwd=tmp_path) for name in ("one", "two")]
    assert [page.status for page in pages] == [0, 0]
    records = [read(tmp_path / name / "results.json") for name in ("one", "two")]
    assert records[0].cells == records[1].cells
    assert {cell.cases for cell in records[0].cells} == {5}
    assert "examples: 5 a law; the same again: --examples 5" in pages[0].out


def test_call_in_an_interpreter_may_take_longer() -> None:
    """What is slow there is no hang; a limit that a user has set stays."""
    usual, chosen = Limits.of("k.py"), Limits.of("k.py", CallOptions(time_limit=2.0))
    before = usual.seconds
    usual.interpreted()
    chosen.interpreted()
    assert (usual.seconds, chosen.seconds) == (INTERPRETED * before, 2.0)


def test_search_without_a_watch_runs_to_its_end() -> None:
    """Laws that nobody watches get all their examples."""
    broken, tally = judge(create(find("reference")), "F1")
    assert (broken, tally.cases) == (None, MOST)
