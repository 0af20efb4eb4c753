"""Known deviations of one cause: cells of which the ledger gives the same reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bnconform_reports.records import Cell


@dataclass(frozen=True)
class Cause:
    """One reason on the ledger, and the broken cells that it is given for.

    Attributes
    ----------
    kind, reason : str
    cells : tuple of Cell
        At least one.
    """

    kind: str
    reason: str
    cells: tuple[Cell, ...]

    @property
    def laws(self) -> list[str]:
        """The requirements that it breaks."""
        return list(dict.fromkeys(cell.requirement for cell in self.cells))

    @property
    def implementations(self) -> list[str]:
        """Those that have it."""
        return list(dict.fromkeys(cell.implementation for cell in self.cells))


def causes(cells: Iterable[Cell]) -> list[Cause]:
    """Known broken cells by cause, in the order of the first cell of each."""
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.known is not None:
            grouped.setdefault((cell.known["kind"], cell.known["reason"]), []).append(cell)
    return [Cause(kind, reason, tuple(found)) for (kind, reason), found in grouped.items()]
