"""Combination of a campaign's cells into the form that reports read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def folded(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Combine cells of one requirement and implementation: the worst verdict, the sum of cases."""
    from bnconform_reports.records.merging import worst_of
    from bnconform_reports.records.schema import Cell

    drawn: Counter[str] = Counter()
    for cell in cells:
        drawn.update(cell.get("drawn", {}))
    one = worst_of([Cell(**{name: value for name, value in cell.items() if name != "drawn"}) for cell in cells])
    combined = {name: value for name, value in asdict(one).items() if value not in (None, "")}
    return combined | {"drawn": dict(drawn)}
