"""Broken laws on the verdict page: the law closest to the cause comes first, others join its group, none is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sample_runs import broken, cell, run

from bnconform.requirements import CATALOGUE, CLOSENESS, DISTANCE
from bnconform_reports.records.schema import Cell
from bnconform_reports.vet_page import law_groups, lines

PUBLISHED = Path(__file__).parents[2] / "reports" / "published" / "kill_matrix.json"


def off(requirement: str, quantity: str, mode: str = "training", problem: str = "is off") -> Cell:
    """A broken cell about one output."""
    found = broken(requirement, "kernel.py")
    values: dict[str, Any] = {"quantity": quantity, "mode": mode, "problem": problem}
    if quantity == "call":
        values |= dict.fromkeys(("got", "expected", "allowed", "index"))
    return broken(requirement, "kernel.py", finding=(found.finding or {}) | values)


def folded(*cells: Cell) -> list[str]:
    """The ids of each group, as text."""
    return [" ".join(cell.requirement for cell in group) for group in law_groups(cells)]


def test_every_law_has_one_place() -> None:
    """The order of closeness holds each law of the catalogue once."""
    ids = [id for _, laws in CLOSENESS for id in laws]
    assert sorted(ids) == sorted(law.id for law in CATALOGUE)
    assert list(DISTANCE) == ids


def test_law_closest_to_the_cause_comes_first() -> None:
    """A fault of the stored variance opens with S1, whatever the catalogue's order, and S8 is under it."""
    assert folded(off("S8", "running_var"), off("F4", "running_var"), off("S1", "running_var")) == ["S1 F4 S8"]


def test_other_outputs_and_modes_stand_by_themselves() -> None:
    """A wrong value of another output, or in the other mode, starts a group of its own."""
    cells = (
        off("F1", "y"),
        off("M5", "y"),
        off("I1", "y", "inference"),
        off("I2", "y", "inference"),
        off("G3", "dbias"),
    )
    assert folded(*cells) == ["F1 M5", "I1 I2", "G3"]


def test_what_is_stored_wrongly_shows_in_the_calls_after_it() -> None:
    """Laws about several calls follow from statistics that a step stores wrongly; laws about inference do not."""
    cells = (
        off("S1", "running_mean"),
        off("S4", "y", "inference"),
        off("S11", "running_var"),
        off("I1", "y", "inference"),
    )
    assert folded(*cells) == ["S1 S11", "I1 S4"]
    assert folded(*cells[:3]) == ["S1 S4 S11"]
    assert folded(off("F1", "y"), off("S4", "y", "inference")) == ["F1", "S4"]


def test_any_wrong_output_shows_in_training() -> None:
    """T1 and T2 join the first law that found a wrong output; without one they are groups of their own."""
    assert folded(off("T1", "loss"), off("T2", "y", "inference"), off("G2", "dweight")) == ["G2 T1 T2"]
    assert folded(off("E1", "call", problem="returned"), off("T1", "loss")) == ["E1", "T1"]


def test_derivatives_of_a_wrong_output_are_wrong() -> None:
    """G10 and G11 join a wrong output of the same mode, and no other."""
    assert folded(off("G11", "y_tangent"), off("G10", "ddy"), off("G1", "dx")) == ["G1 G10 G11"]
    assert folded(off("G10", "ddy", "inference"), off("G1", "dx")) == ["G1", "G10"]
    assert folded(off("G10", "ddy"), off("S1", "running_mean")) == ["S1", "G10"]


def test_calls_are_one_finding_where_the_same_happened() -> None:
    """Calls that raised the same exception are one group; another exception, or a missing one, starts another."""
    raised = "raised ValueError: cannot reshape array of size {} into shape ({},2)"
    cells = (
        off("F1", "call", problem=raised.format(4, 1)),
        off("S4", "call", "inference", problem=raised.format(6, 3)),
        off("X2", "call", problem="returned; training on one value per channel is declared to raise"),
        off("E1", "call", problem="returned for a weight of 1 for 2 channels, in training; it must raise"),
        off("T1", "loss"),
    )
    assert folded(*cells) == ["F1 S4", "X2", "E1", "T1"]


def test_record_without_modes_is_folded_by_its_witness() -> None:
    """In an older record, which names no mode, the last step of the witness gives it."""
    one, other = off("F1", "y"), off("M5", "y")
    for found in (one, other):
        assert found.finding is not None
        del found.finding["mode"]
    assert folded(one, other) == ["F1 M5"]


def test_cell_without_a_finding_stands_by_itself() -> None:
    """A stale entry of the ledger has a reason and no finding."""
    stale = Cell("F4", "kernel.py", "breaks", reason="the ledger's entry is stale")
    assert folded(stale, off("F1", "y"), off("F2", "y")) == ["F1 F2", "F4"]


def test_page_loses_no_law() -> None:
    """Every broken law is on the page below its first line, and the whole cases are those of the closest core laws."""
    outputs = {"S": ("running_var", "training"), "I": ("y", "inference"), "G": ("dx", "training")}
    cells = [off(law.id, *outputs.get(law.id[0], ("y", "training"))) for law in CATALOGUE]
    page = [
        text for text, _ in lines(run([*cells, cell("F1", "other.py")]), "kernel.py", (), "bnconform vet kernel.py")
    ]
    text = "\n".join(page[1:])
    assert {law.id for law in CATALOGUE} == {id for id in DISTANCE if re.search(rf"\b{id}\b", text)}
    assert page[page.index("broken") + 1].startswith(f"  {next(iter(DISTANCE))} ")
    told = [line for line in page if " broken by kernel.py: " in line]
    core = {law.id for law in CATALOGUE if law.level == "core"}
    firsts = [group[0].requirement for group in law_groups(cells)]
    assert [line.split()[0] for line in told] == [first for first in firsts if first in core][:2]
    assert max(map(len, page[page.index("broken") + 2 :][:2])) <= 100


def test_line_of_a_law_says_how_the_case_was_called() -> None:
    """The line of X4 names the drawn case and the call without channels."""
    call = ["called    with x f32[2,0] instead of f32[2,2]", "          with dy f32[2,0] instead of f32[2,2]"]
    found = off("X4", "call", problem="raised IndexError")
    found = broken("X4", "kernel.py", finding=(found.finding or {}) | {"call": call})
    page = [text for text, _ in lines(run([found]), "kernel.py", (), "bnconform vet kernel.py")]
    told = "  X4  call raised IndexError, on f32[2,2], called with x f32[2,0] instead of f32[2,2];  "
    assert page[page.index("broken") + 1].startswith(told)


def share(order: list[str]) -> float:
    """The share of the zoo's specimens whose first broken law is one that they are meant to break."""
    rows = json.loads(PUBLISHED.read_text())["specimens"]
    broken = [set(row["also"]) | {id for id, kills in row["kills"].items() if any(kills)} for row in rows]
    return sum(min(ids, key=order.index) in row["laws"] for ids, row in zip(broken, rows, strict=True)) / len(rows)


def test_first_law_names_the_fault_more_often_than_the_catalogues() -> None:
    """For three of four specimens of the published kill matrix, the first law is one that the fault is there for."""
    assert share([law.id for law in CATALOGUE]) < 0.65
    assert share(list(DISTANCE)) >= 0.75
