"""The verdict on one implementation, for a terminal: one line first, then what to act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from bnconform.cases.case_file import from_json
from bnconform.judging.findings import Finding, explain, signature
from bnconform_reports.first_line import CONFORMS, cells_of, exit_status, is_new, verdict
from bnconform_reports.folding import groups
from bnconform_reports.records import Cell, Results
from bnconform_reports.scope import scope
from bnconform_reports.wording import problem

FULL = 2
"""Broken laws that are shown with their whole case; the others take a line each, or a place in one."""
WIDTH = 100
"""Columns of a line of ids."""


def lines(
    results: Results,
    implementation: str,
    causes: Sequence[str],
    command: str,
    *,
    traceback: Path | None = None,
    verbose: bool = False,
) -> Iterator[tuple[str, str]]:
    """The page; each line with a style of rich's, empty for plain.

    Parameters
    ----------
    causes : sequence of str
        What :func:`bnconform.diagnosis.diagnose` says.
    command : str
        What was typed, to run one law again.
    traceback : Path or None
        Where the tracebacks lie, if the suite itself failed.
    verbose : bool
        Whether every law is listed, and how to claim more.
    """
    cells = cells_of(results, implementation)
    broken = [cell for cell in cells if is_new(cell)]
    good = exit_status(results, implementation) == CONFORMS
    yield verdict(results, implementation), "bold green" if good else "bold red"
    yield from ((text, "dim") for text in scope(results, implementation, cells, verbose=verbose))
    for reason, ids in _unjudged(cells).items():
        yield f"  {' '.join(ids)}: {reason}", "bold red"
    if traceback is not None:
        yield f"  tracebacks: {traceback}", "bold red"
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
            yield f"not run: {cell.requirement}, {cell.reason}", ""
    if broken and len(broken) > len(telling):
        yield "", ""
        yield "every case: add --report DIR", ""
    yield f"profile {results.profile}, seed {results.seed}", "dim"


def _unjudged(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Laws that were not judged, by the reason."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        if cell.verdict == "not judged":
            found.setdefault(cell.reason, []).append(cell.requirement)
    return found


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
