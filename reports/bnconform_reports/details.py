"""What a reader gets to see of one broken cell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bnconform.cases.case_file import from_json
from bnconform.judging.findings import describe_steps
from bnconform.scripts.writer import script_name
from bnconform_reports.causes import causes
from bnconform_reports.records import Cell
from bnconform_reports.together import Together
from bnconform_reports.wording import numbers, problem

LONGEST_SCRIPT = 60_000
"""Characters; a longer one holds a large case, and nobody copies it."""


@dataclass(frozen=True)
class Room:
    """How much a page may hold.

    Attributes
    ----------
    scripts : int
        Characters of all scripts together.
    case : int
        Characters of one case as text.
    alike : int
        Of the cells of one known cause, so many are told in full; the others in a line.
    """

    scripts: int
    case: int
    alike: int = 1_000_000


@dataclass(frozen=True)
class Detail:
    """One broken cell.

    Attributes
    ----------
    anchor : str
        Its id on the page.
    cell : Cell
    statement : str
    alone : bool
        Whether no other implementation breaks this law.
    problem : str
        In one line.
    case : str
        The smallest case, as text; empty where there is none.
    numbers : dict of str to str
        Got, expected, allowed and error, where the problem is a value.
    again, script, file : str
        The command that judges it again; the standalone script and a name for it; empty where there are none.
    link : str
        The upstream thread; empty where there is none that a browser may open.
    brief : bool
        Whether a line is all there is room for, beside others of its cause.
    """

    anchor: str
    cell: Cell
    statement: str
    alone: bool
    problem: str
    case: str
    numbers: dict[str, str]
    again: str
    script: str
    file: str
    link: str
    brief: bool


def anchors(cells: Iterable[Cell]) -> dict[tuple[str, str], str]:
    """An id for every cell, readable and unique on a page."""
    found: dict[tuple[str, str], str] = {}
    for cell in cells:
        anchor = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{cell.requirement}-{cell.implementation}")
        while anchor in found.values():
            anchor += "_"
        found[cell.requirement, cell.implementation] = anchor
    return found


def details(found: Together, room: Room) -> list[Detail]:
    """All broken cells, in the order of :attr:`Together.broken`; scripts as long as there is room."""
    ids = anchors(found.broken)
    brief = {_place(cell) for cause in causes(found.broken) for cell in cause.cells[room.alike :]}
    left, told = room.scripts, []
    for cell in found.broken:
        script = cell.script if len(cell.script) <= min(LONGEST_SCRIPT, left) else ""
        left -= len(script)
        told.append(_detail(cell, found, ids[_place(cell)], script, room.case, brief=_place(cell) in brief))
    return told


def _place(cell: Cell) -> tuple[str, str]:
    return cell.requirement, cell.implementation


def _detail(cell: Cell, found: Together, anchor: str, script: str, longest: int, *, brief: bool) -> Detail:
    link = (cell.known or {}).get("link", "")
    case = "\n".join(_case(cell)) if cell.witness else ""
    return Detail(
        anchor=anchor,
        cell=cell,
        statement=found.requirements[cell.requirement]["statement"],
        alone=(cell.requirement, cell.implementation) in found.alone,
        problem=problem(cell),
        case=case if len(case) <= longest else case[:longest] + "\n...",
        numbers=numbers(cell),
        again=cell.again,
        script=script,
        file=script_name(cell.requirement, cell.implementation),
        link=link if link.startswith(("https://", "http://")) else "",
        brief=brief,
    )


def _case(cell: Cell) -> list[str]:
    """The smallest case as lines, and how the call that failed differs from it."""
    finding = cell.finding or {}
    return [*describe_steps(from_json(cell.witness), finding.get("marks", ())), *finding.get("call", ())]
