"""The report as Markdown for a CI job's summary: what matters first, and never too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bnconform_reports.alike import alike
from bnconform_reports.causes import causes
from bnconform_reports.headline import headline
from bnconform_reports.page import packages
from bnconform_reports.records import SYMBOLS, Cell
from bnconform_reports.together import Together
from bnconform_reports.wording import problem, ratio_text

LIMIT = 900_000
"""Bytes; GitHub refuses a job summary of more than 1 MiB."""
_CUT = "\n\nCut here, the rest is on the page.\n"


def summary(found: Together) -> str:
    """The summary."""
    text = "\n".join(_lines(found)) + "\n"
    data = text.encode()
    if len(data) <= LIMIT:
        return text
    whole = data[: LIMIT - len(_CUT)].decode(errors="ignore")
    return whole[: whole.rindex("\n")] + _CUT


def plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    return re.sub(r"[\\`*_{}\[\]<>&|#~$@!]|:(?=//)", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))


def _lines(found: Together) -> Iterator[str]:
    yield f"## Batch norm: {headline(found.cells.values())}"
    yield ""
    fresh = [cell for cell in found.broken if cell.known is None]
    known = [cell for cell in found.broken if cell.known is not None]
    if fresh:
        yield "### Broken, not known before"
        yield from _broken(found, fresh)
    yield from _table(found)
    if known:
        yield ""
        yield "### Known deviations"
        yield from _known(known)
    yield from (f"- {plain(name)} not run: {plain(reason)}" for name, reason in found.not_run.items())
    yield from (f"- {plain(name)} {plain(note)}" for name, note in found.notes.items())
    yield ""
    yield plain(f"{found.cases} cases; {', '.join(packages(found)) or 'no packages'}")
    for one in alike(found.runs):
        yield ""
        count = f"{len(one.runs)} runs, " if len(one.runs) > 1 else ""
        yield plain(f"{count}{one.when}, profile {one.profile}, {one.seeds}, {one.machine}")


def _known(cells: list[Cell]) -> Iterator[str]:
    """A row for each cause."""
    yield ""
    yield "| cause | kind | laws | implementations |"
    yield "|---|---|---|---|"
    for cause in causes(cells):
        names = [plain(name) for name in cause.implementations]
        told = f"{plain(' '.join(cause.laws))} | {', '.join(names)}"
        yield f"| {plain(cause.reason)} | {plain(cause.kind)} | {told} |"
    yield ""


def _broken(found: Together, cells: list[Cell]) -> Iterator[str]:
    yield ""
    yield "| law | implementation | what | |"
    yield "|---|---|---|---|"
    for cell in cells:
        alone = "alone in failing" if (cell.requirement, cell.implementation) in found.alone else ""
        yield f"| {plain(cell.requirement)} | {plain(cell.implementation)} | {plain(problem(cell))} | {alone} |"
    yield ""


def _table(found: Together) -> Iterator[str]:
    """A row for each implementation: the counts, the grade, and the largest error that was still allowed."""
    verdicts = " | ".join(f"{symbol} {verdict}" for verdict, symbol in SYMBOLS.items())
    yield f"| implementation | {verdicts} | grade | worst allowed |"
    yield "|---" * (len(SYMBOLS) + 3) + "|"
    for column in found.columns:
        cells = [cell for id in found.requirements if (cell := found.cell(id, column.label))]
        counts = [sum(cell.verdict == verdict for cell in cells) for verdict in SYMBOLS]
        grade = next((cell.grade for cell in cells if cell.grade), "")
        met = [cell for cell in cells if cell.verdict in ("meets", "differs") and cell.elements]
        worst = max(met, key=lambda cell: cell.worst_ratio, default=None)
        said = "" if worst is None else f"{ratio_text(worst.worst_ratio)} {worst.requirement}"
        yield f"| {plain(column.label)} | {' | '.join(map(str, counts))} | {plain(grade)} | {plain(said)} |"
