"""The verdict on one implementation, for a terminal: one line first, then what to act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bnconform.case_file import from_json
from bnconform.findings import Finding, explain, signature
from bnconform_reports.first_line import CONFORMS, cells_of, exit_status, is_new, verdict
from bnconform_reports.matrix import ratio_text
from bnconform_reports.records import Cell, Results
from bnconform_reports.scope import scope

FULL = 2
"""Broken laws that are shown with their whole case; the others take a line each."""


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
    if broken:
        yield "", ""
        yield "broken", "bold"
        yield from ((f"  {_brief(cell)}  {_statement(results, cell)}", "") for cell in broken)
    telling = _telling(broken)
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
    problem = str(cell.finding["problem"])
    if cell.finding.get("got") is not None:
        problem = f"is off by {ratio_text(float(cell.finding['ratio']))} times the allowed error"
    return f"{cell.requirement:<4}{cell.finding['quantity']} {problem}, on {_shapes(cell)};"


def _shapes(cell: Cell) -> str:
    assert cell.witness is not None
    steps = from_json(cell.witness)
    return " then ".join(dict.fromkeys(signature(case.x) for case in steps))


def _statement(results: Results, cell: Cell) -> str:
    return results.requirements[cell.requirement]["statement"]


def _telling(broken: list[Cell]) -> list[Cell]:
    """The smallest cases say most; of laws that break on the same case and output, the first is enough."""
    seen: dict[tuple[str, str], Cell] = {}
    for cell in broken:
        if cell.witness is not None and cell.finding is not None:
            case = " ".join(str(step["origin"]) for step in cell.witness["steps"])
            seen.setdefault((case, str(cell.finding["quantity"])), cell)
    return sorted(seen.values(), key=_size)[:FULL]


def _size(cell: Cell) -> int:
    assert cell.witness is not None
    return sum(case.x.size for case in from_json(cell.witness))


def _explained(cell: Cell, again: str) -> str:
    assert cell.finding is not None
    assert cell.witness is not None
    index = cell.finding.get("index")
    finding = Finding(**cell.finding | {"index": None if index is None else tuple(index)})
    return explain(finding, from_json(cell.witness), again)
