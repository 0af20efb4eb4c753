"""Broken cells: the details of each, and known deviations of one cause in one group, with nothing lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from read_page import Node, parsed
from sample_runs import KNOWN, broken, cell, merge, run

from bnconform.requirements import BY_ID
from bnconform_reports.ci_files import summary
from bnconform_reports.html_page import page
from bnconform_reports.records import wording
from bnconform_reports.records.merging import Merged
from bnconform_reports.sections.broken_cells import Detail, Room, causes, details

INF, NAN = float("inf"), float("nan")
EMPTY = KNOWN | {"reason": "an empty batch gives NaN"}
PLACES = [("S9", "torch"), ("S9", "flax.linen"), ("X3", "torch")]


@pytest.fixture(scope="module")
def found() -> Merged:
    """Three cells of one cause, one of another with the same words but of another kind, and a new finding."""
    cells = [broken(id, name, known=EMPTY) for id, name in PLACES]
    cells += [broken("E1", "torch", known=EMPTY | {"kind": "robustness"}), broken("F1", "torch"), cell("F2", "torch")]
    return merge(run(cells))


@pytest.fixture(scope="module")
def section(found: Merged) -> Node:
    """The section of broken cells."""
    return parsed(page(found)).one("section", id="broken")


def test_cells_of_one_reason_and_kind_are_one_cause(found: Merged) -> None:
    """Every known cell is in one cause; the new one is in none."""
    told = causes(found.broken)
    assert sorted(len(cause.cells) for cause in told) == [1, 3]
    largest = max(told, key=lambda cause: len(cause.cells))
    assert {(c.requirement, c.implementation) for c in largest.cells} == set(PLACES)
    assert set(largest.laws) == {"S9", "X3"}
    assert set(largest.implementations) == {"torch", "flax.linen"}


def test_page_shows_a_shared_cause_once(section: Node) -> None:
    """Cells of one cause are inside one element that names laws, implementations and reason; a single cell is not."""
    (group,) = section.all("details", **{"class": "cause"})
    head = next(group.all("summary")).text
    assert "S9 X3" in head
    assert "bug: an empty batch gives NaN" in head
    inside = {node.attributes["id"] for node in group.all("details") if "id" in node.attributes}
    assert inside == {f"{id}-{name}" for id, name in PLACES}
    everywhere = {node.attributes["id"] for node in section.all("details") if "id" in node.attributes}
    assert everywhere == inside | {"E1-torch", "F1-torch"}
    assert "4 cells, 2 causes" in section.text


def test_cells_of_one_cause_give_way_where_there_is_no_room(found: Merged) -> None:
    """With little room the first cells of a cause are shown in full; the others get a line that links still reach."""
    told = details(found, Room(0, 200, 1))
    assert sum(one.brief for one in told) == 2
    assert not any(one.brief for one in told if one.cell.known is None)
    assert not any(one.brief for one in details(found, Room(0, 200)))


def test_page_of_one_cause_in_every_cell_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one cause breaks a thousand cells, each has a line with its id on the page."""
    names = [f"framework{i}.implementation" for i in range(30)]
    ids = list(BY_ID)[:40]
    found = merge(run([broken(id, name, known=EMPTY) for name in names for id in ids]))
    monkeypatch.setattr("bnconform_reports.html_page.LIMIT", 900_000)
    text = page(found)
    assert len(text.encode()) <= 900_000
    section = parsed(text).one("section", id="broken")
    assert {f"{id}-{name}" for name in names for id in ids} <= {n.attributes.get("id") for n in section.all()}


def test_summary_has_a_row_for_each_cause(found: Merged) -> None:
    """Laws and implementations of a cause are in its row; the new finding has its own table."""
    text = summary(found)
    known = text[text.index("### Known deviations") :]
    rows = [line for line in known.splitlines() if "an empty batch gives NaN" in line]
    assert len(rows) == 2
    assert sum("S9 X3" in row and "flax.linen" in row and "torch" in row for row in rows) == 1
    assert "| F1 | torch |" in text[: text.index("### Known deviations")]


def detail(**finding: Any) -> Detail:
    """The only broken cell of a run, with parts of its finding replaced."""
    cell = broken("F1", "torch")
    cell = replace(cell, finding=(cell.finding or {}) | finding)
    (found,) = details(merge(run([cell])), Room(0, 2000))
    return found


def test_call_that_failed_follows_the_case() -> None:
    """The text of the case ends with how the failing call differed from it."""
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
    """An infinite ratio is put into words, never shown as inf times the allowed error."""
    found = detail(**{"allowed": 0.5, "ratio": INF, "ulp": INF} | finding)
    assert wording.problem(found.cell) == problem
    assert wording.numbers(found.cell)["error"].startswith(error)
