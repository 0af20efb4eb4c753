"""The verdict in one line, its exit status, and the lines on its scope."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest
from sample_runs import KNOWN, broken, cell, run

from bnconform.running.options import LEVELS
from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import Dialect
from bnconform_reports.first_line import exit_status, explains_failure, first_line
from bnconform_reports.records.schema import Cell
from bnconform_reports.sections.scope import scope

K = "k.py"
MET = [cell(id, K) for id in ("F1", "F2", "N1", "X1", "G10")]
UNCLAIMED = cell("Y1", K, "not claimed", reason="shards is not claimed")
FAILED = Cell("P1", K, "not judged", "bnconform failed: KeyError: 'x' (build.py line 7)", traceback="Traceback")
LATE = Cell("P2", K, "not judged", "the time budget of 90 s was over after 3 cases; pass a longer one")


def without(id: str, cells: list[Cell]) -> list[Cell]:
    """The cells of all laws except one."""
    return [one for one in cells if one.requirement != id]


@pytest.mark.parametrize(
    ("cells", "line", "status"),
    [
        (
            [*MET, UNCLAIMED],
            "k.py CONFORMS: core 2 of 2, numerics 1 of 1, robust 1 of 1, more 1 of 1; 1 not claimed",
            0,
        ),
        (
            [*without("F2", MET), broken("F2", K), UNCLAIMED],
            "k.py BREAKS: core 1 of 2 (broken: F2), numerics 1 of 1, robust 1 of 1, more 1 of 1; 1 not claimed",
            1,
        ),
        (
            [*MET, broken("E1", K), UNCLAIMED],
            "k.py: arithmetic right (core 2 of 2, numerics 1 of 1); 1 of 2 robustness laws broken: E1; more 1 of 1; "
            "1 not claimed",
            1,
        ),
        (
            [*without("F2", MET), broken("F2", K, known=KNOWN)],
            "k.py CONFORMS BUT FOR WHAT IS KNOWN: core 1 of 2 (known: F2), numerics 1 of 1, robust 1 of 1, more 1 of 1",
            0,
        ),
        (
            [*without("F2", MET), cell("F2", K, "differs")],
            "k.py CONFORMS: core 2 of 2 (1 by its own convention), numerics 1 of 1, robust 1 of 1, more 1 of 1",
            0,
        ),
        (
            [*MET, FAILED],
            "k.py NOT JUDGED: bnconform failed on 1 of 6 laws; core 2 of 2, numerics 1 of 1, robust 1 of 1, "
            "more 1 of 1; 1 not judged",
            3,
        ),
        (
            [*MET, broken("F3", K), FAILED],
            "k.py NOT JUDGED: bnconform failed on 1 of 7 laws; core 2 of 3 (broken: F3), numerics 1 of 1, "
            "robust 1 of 1, more 1 of 1; 1 not judged",
            3,
        ),
        (
            [*MET, LATE],
            "k.py NOT JUDGED: the time budget was over before 1 of 6 laws; core 2 of 2, numerics 1 of 1, "
            "robust 1 of 1, more 1 of 1; 1 not judged",
            3,
        ),
        (
            [*without("F2", MET), broken("F2", K), LATE],
            "k.py BREAKS: core 1 of 2 (broken: F2), numerics 1 of 1, robust 1 of 1, more 1 of 1; 1 not judged",
            1,
        ),
        ([UNCLAIMED], "k.py is NOT JUDGED: shards is not claimed", 1),
    ],
)
def test_first_line_tells_levels_apart_and_adds_up(cells: list[Cell], line: str, status: int) -> None:
    """Word, levels, and the rest; the numbers add up to all laws; the exit status goes with it."""
    results = run(cells)
    assert first_line(results, K) == line
    assert exit_status(results, K) == status
    if "is NOT JUDGED" not in line:
        body = line.partition("laws; ")[2] or line
        levels = [int(total) for total in re.findall(r"\d+ of (\d+)", body)]
        rest = [int(count) for count in re.findall(r"(\d+) not (?:claimed|run|judged)", body)]
        assert sum(levels) + sum(rest) == len(cells)


def test_crash_has_a_word_of_its_own() -> None:
    """A call that ends its process gets the word CRASHES, whatever the level of its law."""
    crash = broken("E2", K)
    assert crash.finding is not None
    crash = replace(crash, finding=crash.finding | {"quantity": "call", "problem": "hung: no answer within 0.5 s"})
    assert first_line(run([*MET, crash]), K).startswith("k.py CRASHES: core 2 of 2")


@pytest.mark.parametrize(("level", "status"), [("core", 0), ("numerics", 0), ("robust", 1), ("more", 1)])
def test_level_decides_the_exit_status(level: Any, status: int) -> None:
    """Broken laws beyond the deciding level leave the exit status alone; a failure of the suite never does."""
    deciding = LEVELS[: LEVELS.index(level) + 1]
    assert exit_status(run([*MET, broken("E1", K)]), K, deciding) == status
    assert exit_status(run([*MET, FAILED]), K, deciding) == 3


def test_record_that_explains_nothing_is_told() -> None:
    """A run that ended in 1 must have a broken or an unjudged law; one with neither is not trusted."""
    assert not explains_failure(run([*MET, broken("F3", K, known=KNOWN)]))
    assert explains_failure(run([*MET, broken("F3", K)]))
    assert explains_failure(run([*MET, FAILED]))


def about(**claimed: Any) -> dict[str, Any]:
    """The record's entry on an implementation with these claims."""
    return {"claims": asdict(replace(Claims(), **claimed)), "plan": {}, "remarks": [], "what": ""}


def test_scope_says_what_was_judged_and_what_was_not() -> None:
    """Ranks, dtypes, layouts, modes, parameters, momentum None, cases; then what is not claimed, by name."""
    claims = about(ranks=(2, 4), layouts=("contiguous",), gradients=("training",), dialect=Dialect(cumulative=False))
    results = run([*MET, UNCLAIMED], abouts={K: claims})
    judged, asked, unclaimed = scope(results, K, results.cells, verbose=False)
    assert asked == "asked: 6 of 72 laws; the others were not looked at"
    assert judged == (
        "judged: ranks 2 and 4; float32; x contiguous; training and inference, gradients in training only; "
        "with and without weight and bias; momentum a number; 50 cases, 10 a law that holds"
    )
    assert unclaimed == (
        "not claimed: laws Y1; dtypes float16 bfloat16 float64; ranks 3 5; momentum None; -v says how to claim them"
    )


def test_verbose_scope_lists_every_law_and_how_to_claim_more() -> None:
    """With -v: for each reason how to claim, and the verdict and the number of cases of each law."""
    results = run([*MET, UNCLAIMED], abouts={K: about()})
    lines = list(scope(results, K, results.cells, verbose=True))
    assert any(line.startswith("  Y1: shards is not claimed; functions: define partial_statistics") for line in lines)
    assert "  F1  meets           10 cases  " in lines
    assert sum(line.startswith("  ") and " cases " in line for line in lines) == len(results.cells)


def test_scope_warns_of_too_few_cases_and_says_what_the_budget_chose() -> None:
    """If a law got less than a quarter of its usual cases, the page says so, and how to get the same again."""
    plan = {"examples": "4:interpreted:512", "budget": 90.0, "call": 0.25}
    cells = [cell("F1", K, cases=4, usual=60), cell("F2", K, cases=20, usual=60)]
    results = run(cells, abouts={K: about() | {"plan": plan, "remarks": ["x of rank 3 raises RuntimeError: no"]}})
    lines = list(scope(results, K, results.cells, verbose=False))
    same = "the same again: --examples 4:interpreted:512"
    assert f"examples: 4 a law on few shapes, of at most 512 values, since a call takes 0.25 s; {same}" in lines
    assert "few cases, too few to trust: F1 4 of 60; a longer --budget or a larger profile gives more" in lines
    assert "note: x of rank 3 raises RuntimeError: no" in lines
