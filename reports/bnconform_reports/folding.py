"""Broken laws of one implementation, the closest to the cause first, with those that break with it under each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bnconform.cases.case_file import from_json
from bnconform.requirements import DISTANCE
from bnconform_reports.records import Cell

STATISTICS = ("running_mean", "running_var")
CONSEQUENCES = ("S4", "S7", "S8", "S11")
"""Laws about several calls: what a training step stores wrongly shows in the inference after it."""
DERIVATIVES = ("G10", "G11")
"""Laws about derivatives of what the definition gives, which are wrong where that is."""
OUTPUTS = ("y", "dx", "dweight", "dbias")
TRAINING = ("T1", "T2")
"""Laws about whole trainings, in which any wrong output shows."""
_NUMBERS = re.compile(r"[-+]?\d[\w.+-]*|\[.*?\]")


def groups(broken: Iterable[Cell]) -> list[list[Cell]]:
    """Every broken cell once: lists of which the first breaks closest to the cause, see ``CLOSENESS``.

    A law is put under a closer one that found the same output wrong in the same mode; laws about several calls also
    under one that found wrong statistics, derivatives under a wrong output of their mode, and laws about training under
    any that found a wrong output. A call that raised or returned is another finding wherever that is put into other
    words.
    """
    found: list[list[Cell]] = []
    for cell in sorted(broken, key=lambda cell: (DISTANCE.get(cell.requirement, len(DISTANCE)), cell.requirement)):
        alike = [group for group in found if _same(cell, group[0])]
        under = alike or [group for group in found if _follows(cell, group[0])]
        if under:
            under[0].append(cell)
        else:
            found.append([cell])
    return found


def _same(cell: Cell, head: Cell) -> bool:
    return cell.finding is not None and head.finding is not None and _about(cell) == _about(head)


def _follows(cell: Cell, head: Cell) -> bool:
    """Whether what a law found shows there because of what a closer one found."""
    if cell.finding is None or head.finding is None:
        return False
    about, closer = _about(cell), _about(head)
    if closer[0] == "call":
        return False
    if cell.requirement in TRAINING:
        return about[0] != "call"
    if cell.requirement in DERIVATIVES and closer[0] in OUTPUTS:
        return about[1] == closer[1]
    stored = closer[0] in STATISTICS and closer[1] == "training"
    return stored and cell.requirement in CONSEQUENCES and (about[0] in STATISTICS or about[:2] == ("y", "inference"))


def _about(cell: Cell) -> tuple[str, str, str]:
    """The output that is wrong, the mode, and for a call what happened, without its numbers."""
    assert cell.finding is not None
    quantity = str(cell.finding["quantity"])
    told = _NUMBERS.sub("#", str(cell.finding["problem"])) if quantity == "call" else ""
    return quantity, "" if told else _mode(cell), told


def _mode(cell: Cell) -> str:
    """The mode of the call that is wrong; in a record that does not say it, that of the last step."""
    assert cell.finding is not None
    if mode := cell.finding.get("mode"):
        return str(mode)
    steps = from_json(cell.witness) if cell.witness else ()
    return "inference" if steps and not steps[-1].training else "training"
