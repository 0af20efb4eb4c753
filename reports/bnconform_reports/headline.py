"""The finding in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from bnconform_reports.records import Cell

JUDGED = ("meets", "differs", "breaks")
"""Verdicts on what was observed."""


def headline(cells: Collection[Cell]) -> str:
    """How many cells break a requirement, and how many of these are new; how many differ by convention."""
    counts = Counter[str](cell.verdict for cell in cells)
    judged = sum(counts[verdict] for verdict in JUDGED)
    failed = f"{counts['not judged']} not judged: bnconform failed or ran out of time there"
    if not judged:
        return f"nothing was judged; {failed}" if counts["not judged"] else "nothing was judged"
    broken, differs = counts["breaks"], counts["differs"]
    told = f"{broken} of {judged} cells {_verb(broken, 'break')} a requirement{_known(broken, new(cells))}"
    told += f"; {differs} {_verb(differs, 'differ')} by documented convention"
    return f"{told}; {failed}" if counts["not judged"] else told


def new(cells: Collection[Cell]) -> int:
    """Broken cells that are not on the ledger of known deviations."""
    return sum(cell.verdict == "breaks" and cell.known is None for cell in cells)


def _known(broken: int, fresh: int) -> str:
    if not broken:
        return ""
    if fresh == 0:
        return ", all of them known deviations"
    return f", {fresh} of them not known before" if fresh < broken else ", none of them known before"


def _verb(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb
