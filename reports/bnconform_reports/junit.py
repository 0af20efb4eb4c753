"""The report as JUnit XML: a suite for each implementation, a test case for each requirement."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from bnconform_reports.records import Cell
from bnconform_reports.together import Together
from bnconform_reports.wording import numbers, problem

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def junit(found: Together) -> str:
    """The XML.

    A known deviation, and a law that is not claimed or not run, is a skipped test with its reason. A law that is not
    judged is an error.
    """
    root = ElementTree.Element("testsuites", name="bnconform")
    for column in found.columns:
        cells = [cell for id in found.requirements if (cell := found.cell(id, column.label))]
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(column.label))
        for cell in cells:
            _case(suite, cell, found.requirements[cell.requirement]["statement"])
        suite.set("tests", str(len(cells)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
        suite.set("errors", str(len(suite.findall("testcase/error"))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, cell: Cell, statement: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(f"bnconform.{cell.implementation}"),
        name=_clean(f"{cell.requirement} {statement}"),
    )
    if cell.verdict == "breaks" and cell.known is None:
        failure = ElementTree.SubElement(case, "failure", message=_clean(problem(cell)), type=_clean(cell.requirement))
        told = [f"{name} {text}" for name, text in numbers(cell).items()]
        failure.text = _clean("\n".join([*told, f"again {cell.again}"] if cell.again else told))
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
