"""The verdict on one implementation, for a terminal: one line first, then what to act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import get_args

from bnconform.case_file import from_json
from bnconform.findings import Finding, explain, signature
from bnconform_adapters.fates import Fate
from bnconform_reports.details import problem
from bnconform_reports.folding import groups
from bnconform_reports.records import Cell, Results

_FATES = tuple(fate for fate in get_args(Fate) if fate)
FULL = 2
"""Broken laws that are shown with their whole case; the others take a line each, or a place in one."""
WIDTH = 100
"""Columns of a line of ids."""


def verdict(results: Results, implementation: str) -> str:
    """The first line: CONFORMS, BREAKS or CRASHES, and how much of what."""
    cells = _cells(results, implementation)
    counts = Counter(cell.verdict for cell in cells)
    known = sum(cell.known is not None for cell in cells)
    if broken := [cell for cell in cells if _new(cell)]:
        word = "CRASHES" if any(_fate(cell) for cell in broken) else "BREAKS"
        ids = " ".join(cell.requirement for cell in broken)
        return f"{implementation} {word}: {len(broken)} of {_judged(cells)} requirements broken, {ids}"
    if not _judged(cells):
        return f"{implementation} is NOT JUDGED: {_reason(cells)}"
    grade = next((f" at grade {cell.grade}" for cell in cells if cell.grade), "")
    told = [f"{counts['meets'] + counts['differs']} requirements met"]
    told += [f"{counts['differs']} of them by its own convention"] if counts["differs"] else []
    told += [f"{known} known deviations"] if known else []
    told += [f"{counts[word]} {word}" for word in ("not claimed", "not run") if counts[word]]
    return f"{implementation} {'CONFORMS BUT FOR WHAT IS KNOWN' if known else 'CONFORMS'}{grade}: {', '.join(told)}"


def lines(results: Results, implementation: str, causes: Sequence[str], command: str) -> Iterator[tuple[str, str]]:
    """The page; each line with a style of rich's, empty for plain.

    Parameters
    ----------
    causes : sequence of str
        What :func:`bnconform.diagnosis.diagnose` says.
    command : str
        What was typed, to run one law again.
    """
    cells = _cells(results, implementation)
    broken = [cell for cell in cells if _new(cell)]
    yield verdict(results, implementation), "bold red" if broken else "bold green"
    if causes:
        yield "", ""
        yield "probably", "bold"
        yield from ((f"  {cause}", "yellow") for cause in causes)
    heads = groups(broken)
    if broken:
        yield "", ""
        yield "broken", "bold"
        for head, *others in heads:
            yield f"  {_brief(head)}  {_statement(results, head)}", ""
            yield from ((text, "") for text in _with_it(others))
    telling = [head for head, *_ in heads if head.witness is not None and head.finding is not None][:FULL]
    seed = f"--hypothesis-profile={results.profile} --hypothesis-seed={results.seed}"
    for cell in telling:
        yield "", ""
        again = f"{command} --requirement {cell.requirement} {seed}"
        yield from ((text, "") for text in _explained(cell, again).splitlines())
    for cell in cells:
        if cell.known:
            yield f"known {cell.known['kind']}: {cell.requirement} {cell.known['reason']}", ""
        elif cell.verdict == "not run":
            yield f"not judged: {cell.requirement}, {cell.reason}", ""
    if broken and len(broken) > len(telling):
        yield "", ""
        yield "every case: add --report DIR", ""
    yield f"profile {results.profile}, seed {results.seed}", "dim"


def _cells(results: Results, implementation: str) -> list[Cell]:
    order = list(results.requirements)
    found = [cell for cell in results.cells if cell.implementation == implementation]
    return sorted(found, key=lambda cell: order.index(cell.requirement))


def _new(cell: Cell) -> bool:
    return cell.verdict == "breaks" and not cell.known


def _judged(cells: list[Cell]) -> int:
    return sum(cell.verdict in ("meets", "differs", "breaks") for cell in cells)


def _reason(cells: list[Cell]) -> str:
    return next((cell.reason for cell in cells if cell.reason), "no requirement was asked for")


def _fate(cell: Cell) -> bool:
    return cell.finding is not None and str(cell.finding["problem"]).startswith(_FATES)


def _brief(cell: Cell) -> str:
    if cell.finding is None:
        return f"{cell.requirement:<4}{cell.reason}"
    return f"{cell.requirement:<4}{problem(cell)}, on {_shapes(cell)};"


def _with_it(others: Sequence[Cell]) -> list[str]:
    """The laws that are folded under one, as lines of ids."""
    ids = " ".join(cell.requirement for cell in others)
    indent = "      "
    return wrap(f"and with it: {ids}", WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ") if ids else []


def _shapes(cell: Cell) -> str:
    """The shapes of the steps, and what the call that failed had otherwise, in its first words."""
    assert cell.witness is not None
    assert cell.finding is not None
    steps = from_json(cell.witness)
    drawn = " then ".join(dict.fromkeys(signature(case.x) for case in steps))
    called = next((line for line in cell.finding.get("call", ()) if line.startswith("called ")), "")
    return f"{drawn}, {' '.join(called.split())}" if called else drawn


def _statement(results: Results, cell: Cell) -> str:
    return results.requirements[cell.requirement]["statement"]


def _explained(cell: Cell, again: str) -> str:
    assert cell.finding is not None
    assert cell.witness is not None
    return explain(Finding.from_data(cell.finding), from_json(cell.witness), again)
