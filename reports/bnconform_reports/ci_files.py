"""Files for a CI job: a summary in Markdown, JUnit XML, and a badge."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree

from bnconform_reports.records.merging import Merged, similar_runs
from bnconform_reports.records.schema import Cell
from bnconform_reports.records.wording import SYMBOLS, grade_of, numbers, problem, ratio_text, worst_met
from bnconform_reports.sections.broken_cells import causes

LIMIT = 900_000
"""Bytes of the summary; GitHub refuses a job summary of more than 1 MiB."""
_CUT = "\n\nCut here, the rest is on the page.\n"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def summary(found: Merged) -> str:
    """The report as Markdown, with the most important first; cut at the end of a line if it is too long."""
    text = "\n".join(_summary(found)) + "\n"
    data = text.encode()
    if len(data) <= LIMIT:
        return text
    whole = data[: LIMIT - len(_CUT)].decode(errors="ignore")
    return whole[: whole.rindex("\n")] + _CUT


def plain(text: str) -> str:
    """Escape a text, so that Markdown and HTML show it as it is, on one line."""
    return re.sub(r"[\\`*_{}\[\]<>&|#~$@!]|:(?=//)", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))


def _summary(found: Merged) -> Iterator[str]:
    yield f"## Batch norm: {found.headline}"
    yield ""
    if fresh := [cell for cell in found.broken if cell.known is None]:
        alone = {cell.place: "alone in failing" if cell.place in found.alone else "" for cell in fresh}
        yield "### Broken, not known before"
        yield ""
        yield from _table(
            ("law", "implementation", "what", ""),
            ((*map(plain, (*cell.place, problem(cell))), alone[cell.place]) for cell in fresh),
        )
        yield ""
    verdicts = (f"{symbol} {verdict}" for verdict, symbol in SYMBOLS.items())
    yield from _table(("implementation", *verdicts, "grade", "worst allowed"), _counts(found))
    if known := causes(found.broken):
        yield ""
        yield "### Known deviations"
        yield ""
        yield from _table(
            ("cause", "kind", "laws", "implementations"),
            (
                (*map(plain, (one.reason, one.kind, " ".join(one.laws))), ", ".join(map(plain, one.implementations)))
                for one in known
            ),
        )
        yield ""
    yield from (f"- {plain(name)} not run: {plain(reason)}" for name, reason in found.not_run.items())
    yield from (f"- {plain(name)} {plain(note)}" for name, note in found.notes.items())
    yield ""
    yield plain(f"{found.cases} cases; {', '.join(found.packages) or 'no packages'}")
    for one in similar_runs(found.runs):
        yield ""
        count = f"{len(one.runs)} runs, " if len(one.runs) > 1 else ""
        yield plain(f"{count}{one.when}, profile {one.runs[0].profile}, {one.seeds}, {one.runs[0].machine}")


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |".replace("  ", " ")
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _counts(found: Merged) -> Iterator[Iterable[str]]:
    """For each implementation: the counts, the grade, and the largest error that was still allowed."""
    for column in found.columns:
        cells = found.column_cells(column.label)
        counts = Counter[str](cell.verdict for cell in cells)
        worst = worst_met(cells)
        error = "" if worst is None else f"{ratio_text(worst.worst_ratio)} {worst.requirement}"
        yield plain(column.label), *(str(counts[word]) for word in SYMBOLS), plain(grade_of(cells)), plain(error)


def junit(found: Merged) -> str:
    """The report as JUnit XML: a suite for each implementation, a test case for each requirement.

    A known deviation, and a law that is not claimed or not run, is a skipped test with its reason. A law that is not
    judged is an error.
    """
    root = ElementTree.Element("testsuites", name="bnconform")
    for column in found.columns:
        cells = found.column_cells(column.label)
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(column.label))
        for cell in cells:
            _add_case(suite, cell, found.requirements[cell.requirement]["statement"])
        suite.set("tests", str(len(cells)))
        for name, tag in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, cell: Cell, statement: str) -> None:
    name = _clean(f"{cell.requirement} {statement}")
    case = ElementTree.SubElement(suite, "testcase", classname=_clean(f"bnconform.{cell.implementation}"), name=name)
    if cell.verdict == "breaks" and cell.known is None:
        failure = ElementTree.SubElement(case, "failure", message=_clean(problem(cell)), type=_clean(cell.requirement))
        text = [f"{name} {text}" for name, text in numbers(cell).items()]
        failure.text = _clean("\n".join([*text, f"again {cell.again}"] if cell.again else text))
    elif cell.verdict == "breaks" and cell.known is not None:
        message = f"known {cell.known['kind']}: {cell.known['reason']}"
        ElementTree.SubElement(case, "skipped", message=_clean(message))
    elif cell.verdict == "not judged":
        error = ElementTree.SubElement(case, "error", message=_clean(f"not judged: {cell.reason}"))
        error.text = _clean(cell.traceback)
    elif cell.verdict in ("not claimed", "not run"):
        ElementTree.SubElement(case, "skipped", message=_clean(f"{cell.verdict}: {cell.reason}"))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)


def badge(found: Merged) -> str:
    """The result as a JSON document for shields.io, see https://shields.io/badges/endpoint-badge."""
    new = sum(cell.is_new for cell in found.broken)
    if not found.judged:
        message, color = "not judged", "lightgrey"
    elif new:
        message, color = f"breaks {new} of {found.judged}", "red"
    elif unjudged := found.counts["not judged"]:
        message, color = f"{unjudged} not judged", "lightgrey"
    elif found.broken:
        message, color = f"{len(found.broken)} known of {found.judged}", "yellow"
    else:
        message, color = f"{found.judged} met", "brightgreen"
    return json.dumps({"schemaVersion": 1, "label": "batch norm", "message": message, "color": color}, indent=1) + "\n"
