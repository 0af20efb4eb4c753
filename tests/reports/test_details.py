"""One broken cell as a reader gets to see it: the case, the call that failed, and how wrong it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sample_runs import broken, run

from bnconform_reports.records import wording
from bnconform_reports.records.merging import merged
from bnconform_reports.records.schema import Runs
from bnconform_reports.sections.broken_cells import Detail, Room, details

INF, NAN = float("inf"), float("nan")


def detail(**finding: Any) -> Detail:
    """The only broken cell of a run, with parts of its finding replaced."""
    cell = broken("F1", "torch")
    cell = replace(cell, finding=(cell.finding or {}) | finding)
    (found,) = details(merged(Runs.of([run([cell])])), Room(0, 2000))
    return found


def test_call_that_failed_follows_the_case() -> None:
    """What the failing call has otherwise than the drawn case closes the case."""
    line = "called    with weight f32[1] instead of f32[2]"
    assert detail(call=[line]).case == f"{detail().case}\n{line}"


@pytest.mark.parametrize(
    ("finding", "problem", "error"),
    [
        ({"got": NAN, "expected": 1.5}, "y is nan where 1.5 is expected", "got is not a number"),
        ({"got": INF, "expected": 1.5}, "y is inf where 1.5 is expected", "got is infinite"),
        ({"got": 1.0, "expected": INF}, "y is 1 where inf is expected", "got is finite, which it must not be"),
        ({"got": 1.0, "expected": 1.5, "ulp": 2.0}, "y is off, where no error is allowed", "the error is 2 ulp"),
    ],
)
def test_infinite_ratio_is_put_into_words(finding: dict[str, Any], problem: str, error: str) -> None:
    """No reader is told that an error is inf times what is allowed."""
    found = detail(**{"allowed": 0.5, "ratio": INF, "ulp": INF} | finding)
    assert wording.problem(found.cell) == problem
    assert wording.numbers(found.cell)["error"].startswith(error)
