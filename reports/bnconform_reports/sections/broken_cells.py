"""Broken cells: the details of each, and known deviations grouped by their cause."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bnconform.cases.case_file import from_json
from bnconform.judging.findings import describe_steps
from bnconform_reports.records.merging import Merged, group_by
from bnconform_reports.records.schema import Cell
from bnconform_reports.records.wording import known_cause

LONGEST_SCRIPT = 60_000
"""Characters; a longer script holds a large case, and nobody copies it."""


@dataclass(frozen=True)
class Cause:
    """One reason on the ledger, and the broken cells that it is given for, at least one."""

    kind: str
    reason: str
    cells: tuple[Cell, ...]

    @property
    def laws(self) -> list[str]:
        """The requirements that it breaks."""
        return list(dict.fromkeys(cell.requirement for cell in self.cells))

    @property
    def implementations(self) -> list[str]:
        """The implementations that have it."""
        return list(dict.fromkeys(cell.implementation for cell in self.cells))


def causes(cells: Iterable[Cell]) -> list[Cause]:
    """Known broken cells by cause, in the order of the first cell of each."""
    grouped = group_by((cell for cell in cells if cell.known), known_cause)
    return [Cause(*cause, tuple(found)) for cause, found in grouped.items()]


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
        How many cells of one known cause are shown in full; the others get a line.
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
    case : str
        The smallest case, as text; empty if there is none.
    script : str
        The standalone script; empty if there is none or no room for it.
    link : str
        The upstream thread; empty if there is none that a browser may open.
    brief : bool
        True if there is room for a line only, beside others of its cause.
    """

    anchor: str
    cell: Cell
    case: str
    script: str
    link: str
    brief: bool


def anchors(cells: Iterable[Cell]) -> dict[tuple[str, str], str]:
    """An id for every cell, readable and unique on a page."""
    found: dict[tuple[str, str], str] = {}
    for cell in cells:
        anchor = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{cell.requirement}-{cell.implementation}")
        while anchor in found.values():
            anchor += "_"
        found[cell.place] = anchor
    return found


def details(found: Merged, room: Room) -> list[Detail]:
    """All broken cells, in the order of :attr:`Merged.broken`, with scripts as long as there is room."""
    ids = anchors(found.broken)
    brief = {cell.place for cause in causes(found.broken) for cell in cause.cells[room.alike :]}
    left, shown = room.scripts, []
    for cell in found.broken:
        script = cell.script if len(cell.script) <= min(LONGEST_SCRIPT, left) else ""
        left -= len(script)
        case = "\n".join(_case(cell)) if cell.witness else ""
        link = (cell.known or {}).get("link", "")
        detail = Detail(
            anchor=ids[cell.place],
            cell=cell,
            case=case if len(case) <= room.case else case[: room.case] + "\n...",
            script=script,
            link=link if link.startswith(("https://", "http://")) else "",
            brief=cell.place in brief,
        )
        shown.append(detail)
    return shown


def _case(cell: Cell) -> list[str]:
    """The smallest case as lines, and how the failing call differs from it."""
    finding = cell.finding or {}
    return [*describe_steps(from_json(cell.witness), finding.get("marks", ())), *finding.get("call", ())]
