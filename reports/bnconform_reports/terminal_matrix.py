"""The matrix of requirements and implementations, as lines of text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

from bnconform_reports.records.merging import families, group_by
from bnconform_reports.records.schema import VERDICTS, Cell, Results
from bnconform_reports.records.wording import SYMBOLS, grade_of, headline, known_cause, problem, value_text, worst_met

_ASCII: dict[str, str] = dict(zip(VERDICTS, ("ok", "!=", "XX", ".", "-", "??"), strict=True))
_ONE_CHARACTER: dict[str, str] = dict(zip(VERDICTS, "+=X.-?", strict=True))
_COLUMNS = 9
"""At most this many implementations are shown as columns with numbers; more are shown as one line each."""
_LONGEST_STATEMENT = 76
_BETWEEN = "  "

Line: TypeAlias = tuple[str, dict[str, Any]]
"""A text, and pytest's markup for it."""


def lines(results: Results, *, unicode: bool = True, verbose: bool = False) -> Iterator[Line]:
    """The matrix, its legend, what is new, and the headline.

    Parameters
    ----------
    unicode : bool
        Whether the terminal shows the symbols.
    verbose : bool
        Whether to list known deviations, notes, and implementations that were not run.
    """
    names = [name for name in results.implementations if any(c.implementation == name for c in results.cells)]
    many = len(names) > _COLUMNS
    symbols = SYMBOLS if unicode else _ONE_CHARACTER if many else _ASCII
    yield from (_overview if many else _table)(results, names, symbols)
    counts = Counter(cell.verdict for cell in results.cells)
    known = [cell for cell in results.cells if cell.known]
    also = {"breaks": f" ({len(known)} known)"} if known else {}
    yield "", {}
    yield "   ".join(f"{symbols[v]} {v} {counts[v]}{also.get(v, '')}" for v in VERDICTS), {}
    yield "the number is the worst error as a multiple of the allowed one: 1 is the line. N1 shows the grade.", {}
    deviations = group_by(known, lambda cell: (cell.implementation, *known_cause(cell)))
    if verbose:
        for (implementation, kind, reason), cells in deviations.items():
            ids = " ".join(cell.requirement for cell in cells)
            yield f"{symbols['breaks']} {implementation} {ids}: known {kind}, {reason}", {}
        yield from ((f"{name} {note}", {}) for name, note in results.notes.items())
        yield from ((f"{symbols['not run']} {name} not run: {why}", {}) for name, why in results.not_run.items())
    elif known or results.notes or results.not_run:
        kinds = ("known deviations", "notes", "implementations that were not run")
        sizes = (len(deviations), len(results.notes), len(results.not_run))
        yield f"add -v to list {', '.join(f'{n} {kind}' for n, kind in zip(sizes, kinds, strict=True) if n)}", {}
    for cell in results.cells:
        if cell.verdict == "not judged":
            yield f"{symbols['not judged']} {cell.implementation} {cell.requirement}: {cell.reason}", {"yellow": True}
    for cell in results.cells:
        if cell.verdict == "breaks" and cell.known is None:
            yield f"{symbols['breaks']} {cell.implementation} {cell.requirement}: {problem(cell)}", {"red": True}
    yield headline(results.cells), {"bold": True}
    yield f"profile {results.profile}, seed {results.seed}", {}


def _table(results: Results, names: Sequence[str], symbols: dict[str, str]) -> Iterator[Line]:
    """A column for each implementation, a line for each requirement."""
    widths = {name: max(len(name), 7) for name in names}
    yield "    " + _BETWEEN.join(f"{name:<{widths[name]}}" for name in names), {"bold": True}
    for id, about in results.requirements.items():
        cells = {name: results.cell(id, name) for name in names}
        if any(cells.values()):
            row = _BETWEEN.join(f"{_cell_text(cell, symbols):<{widths[name]}}" for name, cell in cells.items())
            yield f"{id:<4}{row}  {about['statement'][:_LONGEST_STATEMENT]}", _markup(cells.values())


def _cell_text(cell: Cell | None, symbols: dict[str, str]) -> str:
    """The verdict's symbol, then the worst error as a multiple of the allowed one."""
    return "" if cell is None else f"{symbols[cell.verdict]} {value_text(cell)}".rstrip()


def _overview(results: Results, names: Sequence[str], symbols: dict[str, str]) -> Iterator[Line]:
    """A line for each implementation: a character for each requirement, grade, cases, and worst error allowed."""
    present = [id for id in results.requirements if any(results.cell(id, name) for name in names)]
    shown = list(families(present).values())
    width = max(map(len, names))
    left = " " * width
    yield _BETWEEN.join([left, *(f"{ids[0][0]:<{len(ids)}}" for ids in shown)]), {"bold": True}
    head = [left, *("".join(id[-1] for id in ids) for ids in shown), "grade", f"{'cases':>6}", "worst met"]
    yield _BETWEEN.join(head), {"bold": True}
    for name in names:
        rows = [[results.cell(id, name) for id in ids] for ids in shown]
        verdicts = ["".join(symbols[cell.verdict] if cell else " " for cell in row) for row in rows]
        cells = [cell for cell in chain(*rows) if cell is not None]
        worst = worst_met(cells)
        error = "" if worst is None else f"{worst.worst_ratio:.2f} {worst.requirement}"
        cases = sum(cell.cases for cell in cells)
        line = [f"{name:<{width}}", *verdicts, f"{grade_of(cells):<5}", f"{cases:>6}", error]
        yield _BETWEEN.join(line).rstrip(), _markup(cells)


def _markup(cells: Iterable[Cell | None]) -> dict[str, Any]:
    """Red, if a deviation is not on the ledger."""
    return {"red": True} if any(cell and cell.is_new for cell in cells) else {}
