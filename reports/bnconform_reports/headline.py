"""The finding in one sentence."""

from __future__ import annotations

from bnconform_reports.together import Together


def headline(found: Together) -> str:
    """How many cells break a requirement, and how many of these are new; how many differ by convention."""
    broken, differs = found.counts["breaks"], found.counts["differs"]
    if not found.judged:
        return "nothing was judged"
    told = f"{broken} of {found.judged} cells {_verb(broken, 'break')} a requirement" + _known(found)
    return f"{told}; {differs} {_verb(differs, 'differ')} by documented convention"


def new(found: Together) -> int:
    """Broken cells that are not on the ledger of known deviations."""
    return sum(cell.known is None for cell in found.broken)


def _known(found: Together) -> str:
    if not found.broken:
        return ""
    fresh = new(found)
    if fresh == 0:
        return ", all of them known deviations"
    return f", {fresh} of them not known before" if fresh < len(found.broken) else ", none of them known before"


def _verb(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb
