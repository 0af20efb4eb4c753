"""Many implementations at a glance: a line for each, a character for each requirement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from bnconform_reports.records import Cell, Results

_BETWEEN = "  "


def overview(results: Results, names: Sequence[str], symbols: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A line for each implementation, with pytest's markup: verdicts, grade, number of cases, worst error allowed.

    Parameters
    ----------
    names : sequence of str
        The implementations to show.
    symbols : dict of str to str
        One character for every verdict.
    """
    families = [list(ids) for _, ids in groupby(results.requirements, key=lambda id: id[0])]
    shown = [[id for id in ids if any(results.cell(id, name) for name in names)] for ids in families]
    shown = [ids for ids in shown if ids]
    width = max(map(len, names))
    left = " " * width
    yield _BETWEEN.join([left, *(f"{ids[0][0]:<{len(ids)}}" for ids in shown)]), {"bold": True}
    head = [left, *("".join(id[-1] for id in ids) for ids in shown), "grade", f"{'cases':>6}", "worst met"]
    yield _BETWEEN.join(head), {"bold": True}
    for name in names:
        cells = [[results.cell(id, name) for id in ids] for ids in shown]
        given = [cell for family in cells for cell in family if cell is not None]
        verdicts = ["".join(symbols[cell.verdict] if cell else " " for cell in family) for family in cells]
        grade = next((cell.grade for cell in given if cell.grade), "")
        cases = sum(cell.cases for cell in given)
        unknown = any(cell.verdict == "breaks" and not cell.known for cell in given)
        line = _BETWEEN.join([f"{name:<{width}}", *verdicts, f"{grade:<5}", f"{cases:>6}", _worst(given)])
        yield line.rstrip(), {"red": True} if unknown else {}


def _worst(cells: Sequence[Cell]) -> str:
    """The largest error that was still allowed, as a multiple of the allowed one, and where."""
    met = [cell for cell in cells if cell.verdict in ("meets", "differs") and cell.elements]
    if not met:
        return ""
    worst = max(met, key=lambda cell: cell.worst_ratio)
    return f"{worst.worst_ratio:.2f} {worst.requirement}"
