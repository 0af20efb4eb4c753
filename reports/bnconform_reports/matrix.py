"""The matrix requirement x implementation, as lines of text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bnconform_reports.headline import headline
from bnconform_reports.overview import overview
from bnconform_reports.records import SYMBOLS, VERDICTS, Cell, Results
from bnconform_reports.wording import problem, ratio_text

_ASCII: dict[str, str] = dict(zip(VERDICTS, ("ok", "!=", "XX", ".", "-", "??"), strict=True))
_ONE_CHARACTER: dict[str, str] = dict(zip(VERDICTS, "+=X.-?", strict=True))
_COLUMNS = 9
"""Up to so many implementations are columns with numbers; more are lines of one character a requirement."""
_LONGEST_STATEMENT = 76


def cell_text(cell: Cell | None, symbols: dict[str, str]) -> str:
    """One cell: the verdict's symbol, then the worst error as a multiple of the allowed one."""
    if cell is None:
        return ""
    return f"{symbols[cell.verdict]} {value_text(cell)}".rstrip()


def value_text(cell: Cell) -> str:
    """What stands beside the verdict: the grade where one is measured, else the worst error, if there is one."""
    if cell.grade:
        return cell.grade
    if cell.verdict in ("not claimed", "not run", "not judged") or (cell.verdict != "breaks" and not cell.elements):
        return ""
    return ratio_text(cell.worst_ratio)


def lines(results: Results, *, unicode: bool = True, verbose: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """The matrix, its legend, one headline, and what is new; each line with pytest's markup for it.

    Parameters
    ----------
    unicode : bool
        Whether the terminal shows the symbols.
    verbose : bool
        Whether known deviations, notes and what is not installed are listed, too.
    """
    symbols: dict[str, str] = dict(SYMBOLS) if unicode else _ASCII
    names = [name for name in results.implementations if any(c.implementation == name for c in results.cells)]
    if len(names) > _COLUMNS:
        symbols = dict(SYMBOLS) if unicode else _ONE_CHARACTER
        yield from overview(results, names, symbols)
    else:
        yield from _table(results, names, symbols)
    counts = Counter(cell.verdict for cell in results.cells)
    known = sum(1 for cell in results.cells if cell.known)
    yield "", {}
    yield "   ".join(f"{symbols[v]} {v} {counts[v]}" + _known(v, known) for v in VERDICTS), {}
    yield "the number is the worst error as a multiple of the allowed one: 1 is the line. N1 shows the grade.", {}
    if verbose:
        yield from _more(results, symbols)
    elif known or results.notes or results.not_run:
        yield _less(results), {}
    for cell in results.cells:
        if cell.verdict == "not judged":
            yield f"{symbols['not judged']} {cell.implementation} {cell.requirement}: {cell.reason}", {"yellow": True}
    for cell in results.cells:
        if cell.verdict == "breaks" and cell.known is None:
            yield f"{symbols['breaks']} {cell.implementation} {cell.requirement}: {problem(cell)}", {"red": True}
    yield headline(results.cells), {"bold": True}
    yield f"profile {results.profile}, seed {results.seed}", {}


def _less(results: Results) -> str:
    """How much -v would list."""
    told = [f"{len(_known_deviations(results))} known deviations"] if _known_deviations(results) else []
    told += [f"{len(results.notes)} notes"] if results.notes else []
    told += [f"{len(results.not_run)} implementations that were not run"] if results.not_run else []
    return f"add -v to list {', '.join(told)}"


def _more(results: Results, symbols: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Known deviations by their causes, notes, and what was not run."""
    for (implementation, kind, reason), ids in _known_deviations(results).items():
        yield f"{symbols['breaks']} {implementation} {' '.join(ids)}: known {kind}, {reason}", {}
    for name, note in results.notes.items():
        yield f"{name} {note}", {}
    for name, reason in results.not_run.items():
        yield f"{symbols['not run']} {name} not run: {reason}", {}


def _table(results: Results, names: list[str], symbols: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A column for each implementation, a line for each requirement."""
    widths = {name: max(len(name), 7) for name in names}
    yield "    " + "  ".join(f"{name:<{widths[name]}}" for name in names), {"bold": True}
    for id, about in results.requirements.items():
        cells = {name: results.cell(id, name) for name in names}
        if not any(cells.values()):
            continue
        row = "  ".join(f"{cell_text(cell, symbols):<{widths[name]}}" for name, cell in cells.items())
        unknown = any(c and c.verdict == "breaks" and not c.known for c in cells.values())
        yield f"{id:<4}{row}  {about['statement'][:_LONGEST_STATEMENT]}", {"red": True} if unknown else {}


def _known(verdict: str, known: int) -> str:
    return f" ({known} known)" if verdict == "breaks" and known else ""


def _known_deviations(results: Results) -> dict[tuple[str, str, str], list[str]]:
    """Requirements of the known deviations, by implementation, kind and reason."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for cell in results.cells:
        if cell.known:
            key = (cell.implementation, cell.known["kind"], cell.known["reason"])
            grouped.setdefault(key, []).append(cell.requirement)
    return grouped
