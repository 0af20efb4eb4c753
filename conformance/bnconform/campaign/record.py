"""Cells of many runs as one, and the record of a campaign, in the form that reports read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def folded(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What cells of one requirement and implementation say together: the worst verdict, the sum of cases."""
    from bnconform_reports.records.merging import worst_of
    from bnconform_reports.records.schema import Cell

    drawn: Counter[str] = Counter()
    for cell in cells:
        drawn.update(cell.get("drawn", {}))
    one = worst_of([Cell(**{name: value for name, value in cell.items() if name != "drawn"}) for cell in cells])
    told = {name: value for name, value in asdict(one).items() if value not in (None, "")}
    return told | {"drawn": dict(drawn)}
