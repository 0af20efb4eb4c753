"""The verdict page of one implementation, for a terminal: one line first, then what to act on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from bnconform.cases.case_file import from_json
from bnconform.judging.findings import Finding, explain, signature
from bnconform.requirements import DISTANCE
from bnconform_reports.first_line import CONFORMS, cells_of, exit_status, first_line
from bnconform_reports.records.merging import group_by
from bnconform_reports.records.schema import Cell, Results
from bnconform_reports.records.wording import problem
from bnconform_reports.sections.scope import scope

FULL = 2
"""How many broken laws are shown with their whole case, core laws first; the others get a line, or a place in one."""
WIDTH = 100
"""Columns of a line of ids."""
STATISTICS = ("running_mean", "running_var")
CONSEQUENCES = ("S4", "S7", "S8", "S11")
"""Laws about several calls: a wrong statistic that a training step stores shows in the inference after it."""
DERIVATIVES = ("G10", "G11")
"""Laws about derivatives of outputs: they break where the output is wrong."""
OUTPUTS = ("y", "dx", "dweight", "dbias")
TRAINING = ("T1", "T2")
"""Laws about whole trainings: any wrong output shows in them."""
_NUMBERS = re.compile(r"[-+]?\d[\w.+-]*|\[.*?\]")


def lines(
    results: Results,
    implementation: str,
    causes: Sequence[str],
    command: str,
    *,
    traceback: Path | None = None,
    verbose: bool = False,
) -> Iterator[tuple[str, str]]:
    """The lines of the page; each with a style of rich's, empty for plain.

    Parameters
    ----------
    causes : sequence of str
        The probable causes that :func:`bnconform.diagnosis.diagnose` found.
    command : str
        The command that was typed, to run one law again.
    traceback : Path or None
        The file with the tracebacks, if the suite itself failed.
    verbose : bool
        Whether to list every law, and how to claim more.
    """
    cells = cells_of(results, implementation)
    groups = law_groups(cell for cell in cells if cell.is_new)
    good = exit_status(results, implementation) == CONFORMS
    yield first_line(results, implementation), "bold green" if good else "bold red"
    yield from ((text, "dim") for text in scope(results, implementation, cells, verbose=verbose))
    unjudged = (cell for cell in cells if cell.verdict == "not judged")
    for reason, late in group_by(unjudged, lambda cell: cell.reason).items():
        yield f"  {' '.join(cell.requirement for cell in late)}: {reason}", "bold red"
    if traceback is not None:
        yield f"  tracebacks: {traceback}", "bold red"
    if causes:
        yield "", ""
        yield "probably", "bold"
        yield from ((f"  {cause}", "yellow") for cause in causes)
    if groups:
        yield "", ""
        yield "broken", "bold"
        for first, *others in groups:
            yield f"  {_brief(first)}  {results.requirements[first.requirement]['statement']}", ""
            yield from ((text, "") for text in _with_it(others))
    firsts = [first for first, *_ in groups if first.witness is not None and first.finding is not None]
    explained = sorted(firsts, key=lambda cell: results.requirements[cell.requirement]["level"] != "core")[:FULL]
    seed = f"--hypothesis-profile={results.profile} --hypothesis-seed={results.seed}"
    for cell in explained:
        yield "", ""
        again = f"{command} --requirement {cell.requirement} {seed}"
        yield from ((text, "") for text in _explained(cell, again).splitlines())
    for cell in cells:
        if cell.known:
            yield f"known {cell.known['kind']}: {cell.requirement} {cell.known['reason']}", ""
        elif cell.verdict == "not run":
            yield f"not run: {cell.requirement}, {cell.reason}", ""
    if sum(map(len, groups)) > len(explained):
        yield "", ""
        yield "every case: add --report DIR", ""
    yield f"profile {results.profile}, seed {results.seed}", "dim"


def _brief(cell: Cell) -> str:
    if cell.finding is None:
        return f"{cell.requirement:<4}{cell.reason}"
    return f"{cell.requirement:<4}{problem(cell)}, on {_shapes(cell)};"


def _with_it(others: Sequence[Cell]) -> list[str]:
    """The laws that break with another one, as lines of ids."""
    ids = " ".join(cell.requirement for cell in others)
    indent = "      "
    return wrap(f"and with it: {ids}", WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ") if ids else []


def _shapes(cell: Cell) -> str:
    """The shapes of the steps, and the first words on how the failing call differed."""
    assert cell.witness is not None
    assert cell.finding is not None
    drawn = " then ".join(dict.fromkeys(signature(case.x) for case in from_json(cell.witness)))
    called = next((line for line in cell.finding.get("call", ()) if line.startswith("called ")), "")
    return f"{drawn}, {' '.join(called.split())}" if called else drawn


def _explained(cell: Cell, again: str) -> str:
    assert cell.finding is not None
    assert cell.witness is not None
    return explain(Finding.from_data(cell.finding), from_json(cell.witness), again)


def law_groups(broken: Iterable[Cell]) -> list[list[Cell]]:
    """Every broken cell once, in groups; the first law of a group breaks closest to the cause, see ``CLOSENESS``.

    A law joins the group of a closer one that found the same output wrong in the same mode. Laws about several calls
    also join one that found wrong statistics, derivatives join a wrong output of their mode, and laws about training
    join any wrong output. A call that raised, or that returned and should not, has a group of its own unless the same
    happened in both laws.
    """
    groups: list[list[Cell]] = []
    for cell in sorted(broken, key=lambda cell: (DISTANCE.get(cell.requirement, len(DISTANCE)), cell.requirement)):
        same = [group for group in groups if _same(cell, group[0])]
        if under := same or [group for group in groups if _follows(cell, group[0])]:
            under[0].append(cell)
        else:
            groups.append([cell])
    return groups


def _same(cell: Cell, first: Cell) -> bool:
    return None not in (cell.finding, first.finding) and _about(cell) == _about(first)


def _follows(cell: Cell, first: Cell) -> bool:
    """True if a law found its problem because of the one that a closer law found."""
    if cell.finding is None or first.finding is None:
        return False
    about, closer = _about(cell), _about(first)
    if closer[0] == "call":
        return False
    if cell.requirement in TRAINING:
        return about[0] != "call"
    if cell.requirement in DERIVATIVES and closer[0] in OUTPUTS:
        return about[1] == closer[1]
    stored = closer[0] in STATISTICS and closer[1] == "training"
    return stored and cell.requirement in CONSEQUENCES and (about[0] in STATISTICS or about[:2] == ("y", "inference"))


def _about(cell: Cell) -> tuple[str, str, str]:
    """The wrong output and the mode; for a call, its problem without the numbers."""
    assert cell.finding is not None
    quantity = str(cell.finding["quantity"])
    if quantity == "call":
        return quantity, "", _NUMBERS.sub("#", str(cell.finding["problem"]))
    return quantity, _mode(cell), ""


def _mode(cell: Cell) -> str:
    """The mode of the wrong call; in an older record, which does not say it, the mode of the last step."""
    assert cell.finding is not None
    if mode := cell.finding.get("mode"):
        return str(mode)
    steps = from_json(cell.witness) if cell.witness else ()
    return "inference" if steps and not steps[-1].training else "training"
