"""The verdict in one line, level by level, and the exit status that goes with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bnconform.running.failures import SUITE_FAILED
from bnconform.running.options import LEVELS, Level
from bnconform_adapters.exits import EXITS
from bnconform_reports.records.schema import Cell, Results
from bnconform_reports.records.wording import grade_of

CONFORMS, BREAKS = 0, 1
"""Exit statuses; 2 means that something cannot be loaded or asked for."""
ARITHMETIC: tuple[Level, ...] = ("core", "numerics")
"""Levels that say whether the numbers are right."""
EXCUSES = {"run was stopped": "run was stopped", "time budget": "time budget was over"}
"""Reasons for which a law is not judged although the suite works, by the words that a cell has for them."""
_NAMES = {"core": "core", "numerics": "numerics", "robust": "robustness", "more": "further"}


def first_line(results: Results, implementation: str) -> str:
    """The verdict in one line, whose numbers add up to all laws of the run.

    Example: "k.py CONFORMS at grade TT: core 40 of 40, numerics 7 of 7; 24 not claimed". An implementation that meets
    all core and numerics laws gets another line than a wrong one: "k.py: arithmetic right (core 40 of 40, numerics 7 of
    7); 2 of 15 robustness laws broken: S11 E1; 9 not claimed".
    """
    cells = cells_of(results, implementation)
    broken, unjudged = [c for c in cells if c.is_new], [c for c in cells if c.verdict == "not judged"]
    levels = {level: [c for c in cells if c.is_judged and _level(results, c) == level] for level in LEVELS}
    texts = {level: _level_text(level, found) for level, found in levels.items() if found}
    rest = _rest(cells)
    if suite_failed(cells) or (unjudged and not broken):
        why = "bnconform failed on" if suite_failed(cells) else f"the {_excuse(*unjudged)} before"
        head = f"{implementation} NOT JUDGED: {why} {len(unjudged)} of {len(cells)} laws"
        return "; ".join([head, *([", ".join(texts.values())] if texts else []), *rest])
    if not texts:
        reason = next((cell.reason for cell in cells if cell.reason), "no requirement was asked for")
        return f"{implementation} is NOT JUDGED: {reason}"
    sound = levels["core"] and not any(cell.is_new for level in ARITHMETIC for cell in levels[level])
    sound = sound and not any(_level(results, cell) in ARITHMETIC for cell in unjudged)
    if broken and sound and not any(ended_process(cell) for cell in broken):
        arithmetic = ", ".join(texts[level] for level in ARITHMETIC if level in texts)
        beyond = [_beyond(level, levels[level]) for level in LEVELS if level not in ARITHMETIC and levels[level]]
        return f"{implementation}: " + "; ".join([f"arithmetic right ({arithmetic})", *beyond, *rest])
    return f"{implementation} {_word(cells, broken)}: " + "; ".join([", ".join(texts.values()), *rest])


def exit_status(results: Results, implementation: str, deciding: Sequence[Level] = LEVELS) -> int:
    """The exit status of an implementation.

    0 if it conforms; 1 if it breaks a law of a level that decides, or no such law was judged; 3 if bnconform itself
    failed, or ran out of time and found nothing broken.
    """
    cells = cells_of(results, implementation)
    if suite_failed(cells):
        return SUITE_FAILED
    if any(cell.is_new and _level(results, cell) in deciding for cell in cells):
        return BREAKS
    if any(cell.verdict == "not judged" for cell in cells):
        return SUITE_FAILED
    decides = any(cell.is_judged and _level(results, cell) in deciding for cell in cells)
    return CONFORMS if decides else BREAKS


def explains_failure(results: Results, deciding: Sequence[Level] = LEVELS) -> bool:
    """True if a record says why its run ended in a status other than 0; if not, the suite failed elsewhere."""
    return any(exit_status(results, name, deciding) != CONFORMS for name in results.implementations)


def cells_of(results: Results, implementation: str) -> list[Cell]:
    """The cells of an implementation, in the catalogue's order."""
    order = list(results.requirements)
    found = [cell for cell in results.cells if cell.implementation == implementation]
    return sorted(found, key=lambda cell: order.index(cell.requirement))


def suite_failed(cells: Iterable[Cell]) -> bool:
    """True if the suite itself failed on a law; a time budget that is over, or a stopped run, does not count."""
    return any(cell.verdict == "not judged" and not _excuse(cell) for cell in cells)


def _excuse(*cells: Cell) -> str:
    """Why laws were not judged, if it is not because the suite failed; else an empty string."""
    return next((phrase for word, phrase in EXCUSES.items() if any(word in cell.reason for cell in cells)), "")


def ended_process(cell: Cell) -> bool:
    """True if a call crashed, hung, or ended its process in another way."""
    return cell.finding is not None and str(cell.finding["problem"]).startswith(EXITS)


def _word(cells: Sequence[Cell], broken: Sequence[Cell]) -> str:
    if broken:
        return "CRASHES" if any(ended_process(cell) for cell in broken) else "BREAKS"
    grade = grade_of(cells)
    known = any(cell.known is not None for cell in cells)
    return f"CONFORMS{' BUT FOR WHAT IS KNOWN' if known else ''}{f' at grade {grade}' if grade else ''}"


def _level(results: Results, cell: Cell) -> str:
    return results.requirements[cell.requirement]["level"]


def _level_text(level: str, cells: Sequence[Cell]) -> str:
    """The laws of a level, such as "core 38 of 40 (broken: F1; known: F9; 3 by its own convention)"."""
    counts = Counter(cell.verdict for cell in cells)
    lists = {
        "broken": [cell.requirement for cell in cells if cell.is_new],
        "known": [cell.requirement for cell in cells if cell.known],
    }
    details = [f"{name}: {' '.join(ids)}" for name, ids in lists.items() if ids]
    details += [f"{counts['differs']} by its own convention"] if counts["differs"] else []
    text = f"{level} {counts['meets'] + counts['differs']} of {len(cells)}"
    return f"{text} ({'; '.join(details)})" if details else text


def _beyond(level: str, cells: Sequence[Cell]) -> str:
    """The broken laws of a level, such as "2 of 15 robustness laws broken: S11 E1"."""
    broken = [cell.requirement for cell in cells if cell.is_new]
    if not broken:
        return _level_text(level, cells)
    return f"{len(broken)} of {len(cells)} {_NAMES[level]} laws broken: {' '.join(broken)}"


def _rest(cells: Sequence[Cell]) -> list[str]:
    """The number of laws that no level counts."""
    counts = Counter(cell.verdict for cell in cells)
    texts = [f"{counts[word]} {word}" for word in ("not claimed", "not run", "not judged") if counts[word]]
    return [", ".join(texts)] if texts else []
