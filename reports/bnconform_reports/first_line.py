"""The verdict in one line, level by level, and the exit status that goes with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bnconform.running.failures import SUITE_FAILED
from bnconform.running.options import LEVELS, Level
from bnconform_adapters.exits import EXITS
from bnconform_reports.headline import JUDGED
from bnconform_reports.records import Cell, Results

CONFORMS, BREAKS = 0, 1
"""Exit statuses; 2 is for what cannot be loaded or asked."""
ARITHMETIC: tuple[Level, ...] = ("core", "numerics")
"""Levels that say whether the numbers are right."""
_NAMES = {"core": "core", "numerics": "numerics", "robust": "robustness", "more": "further"}


def verdict(results: Results, implementation: str) -> str:
    """One line; its numbers add up to all laws of the run.

    As "k.py CONFORMS at grade TT: core 40 of 40, numerics 7 of 7; 24 not claimed". An implementation whose core and
    numerics laws all hold is not told like a wrong one: "k.py: arithmetic right (core 40 of 40, numerics 7 of 7); 2 of
    15 robustness laws broken: S11 E1; 9 not claimed".
    """
    cells = cells_of(results, implementation)
    broken, unjudged = [cell for cell in cells if is_new(cell)], [c for c in cells if c.verdict == "not judged"]
    levels = {level: [c for c in cells if c.verdict in JUDGED and _level(results, c) == level] for level in LEVELS}
    told = {level: _level_text(level, found) for level, found in levels.items() if found}
    rest = _rest(cells)
    if suite_failed(cells) or (unjudged and not broken):
        why = "bnconform failed on" if suite_failed(cells) else "the time budget was over before"
        head = f"{implementation} NOT JUDGED: {why} {len(unjudged)} of {len(cells)} laws"
        return "; ".join([head, *([", ".join(told.values())] if told else []), *rest])
    if not told:
        reason = next((cell.reason for cell in cells if cell.reason), "no requirement was asked for")
        return f"{implementation} is NOT JUDGED: {reason}"
    sound = levels["core"] and not any(is_new(cell) for level in ARITHMETIC for cell in levels[level])
    if broken and sound and not any(exit(cell) for cell in broken):
        arithmetic = ", ".join(told[level] for level in ARITHMETIC if level in told)
        beyond = [_beyond(level, levels[level]) for level in LEVELS if level not in ARITHMETIC and levels[level]]
        return f"{implementation}: " + "; ".join([f"arithmetic right ({arithmetic})", *beyond, *rest])
    return f"{implementation} {_word(cells, broken)}: " + "; ".join([", ".join(told.values()), *rest])


def exit_status(results: Results, implementation: str, deciding: Sequence[Level] = LEVELS) -> int:
    """The exit status.

    0 where it conforms; 1 where it breaks a law of a level that decides, or none of these was judged; 3 where bnconform
    itself failed, or ran out of time and found nothing broken.
    """
    cells = cells_of(results, implementation)
    if suite_failed(cells):
        return SUITE_FAILED
    if any(is_new(cell) and _level(results, cell) in deciding for cell in cells):
        return BREAKS
    if any(cell.verdict == "not judged" for cell in cells):
        return SUITE_FAILED
    decides = any(cell.verdict in JUDGED and _level(results, cell) in deciding for cell in cells)
    return CONFORMS if decides else BREAKS


def explains_failure(results: Results, deciding: Sequence[Level] = LEVELS) -> bool:
    """Whether a record says why its run ended in a status other than 0; if not, the suite failed elsewhere."""
    return any(exit_status(results, name, deciding) != CONFORMS for name in results.implementations)


def cells_of(results: Results, implementation: str) -> list[Cell]:
    """The cells of an implementation, in the catalogue's order."""
    order = list(results.requirements)
    found = [cell for cell in results.cells if cell.implementation == implementation]
    return sorted(found, key=lambda cell: order.index(cell.requirement))


def is_new(cell: Cell) -> bool:
    """Whether a cell is broken and not on the ledger."""
    return cell.verdict == "breaks" and not cell.known


def suite_failed(cells: Iterable[Cell]) -> bool:
    """Whether the suite itself failed on a law, the time budget aside."""
    return any(cell.verdict == "not judged" and "time budget" not in cell.reason for cell in cells)


def exit(cell: Cell) -> bool:
    """Whether a call crashed, hung or ended its process otherwise."""
    return cell.finding is not None and str(cell.finding["problem"]).startswith(EXITS)


def _word(cells: Sequence[Cell], broken: Sequence[Cell]) -> str:
    if broken:
        return "CRASHES" if any(exit(cell) for cell in broken) else "BREAKS"
    grade = next((f" at grade {cell.grade}" for cell in cells if cell.grade), "")
    known = any(cell.known is not None for cell in cells)
    return f"CONFORMS{' BUT FOR WHAT IS KNOWN' if known else ''}{grade}"


def _level(results: Results, cell: Cell) -> str:
    return results.requirements[cell.requirement]["level"]


def _level_text(level: str, cells: Sequence[Cell]) -> str:
    """As "core 38 of 40 (broken: F1; known: F9; 3 by its own convention)"."""
    counts = Counter(cell.verdict for cell in cells)
    lists = {
        "broken": [cell.requirement for cell in cells if is_new(cell)],
        "known": [cell.requirement for cell in cells if cell.known],
    }
    told = [f"{name}: {' '.join(ids)}" for name, ids in lists.items() if ids]
    told += [f"{counts['differs']} by its own convention"] if counts["differs"] else []
    text = f"{level} {counts['meets'] + counts['differs']} of {len(cells)}"
    return f"{text} ({'; '.join(told)})" if told else text


def _beyond(level: str, cells: Sequence[Cell]) -> str:
    """As "2 of 15 robustness laws broken: S11 E1"."""
    broken = [cell.requirement for cell in cells if is_new(cell)]
    if not broken:
        return _level_text(level, cells)
    return f"{len(broken)} of {len(cells)} {_NAMES[level]} laws broken: {' '.join(broken)}"


def _rest(cells: Sequence[Cell]) -> list[str]:
    """The laws that no level counts."""
    counts = Counter(cell.verdict for cell in cells)
    told = [f"{counts[word]} {word}" for word in ("not claimed", "not run", "not judged") if counts[word]]
    return [", ".join(told)] if told else []
