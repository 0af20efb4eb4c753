"""The files beside the page: the Markdown summary, JUnit XML, the badge and the figures."""

from __future__ import annotations

import json
import math
import sys
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sample_runs import KNOWN, SCRIPT_NAME, broken, cell, large, measures, merge, run, small

from bnconform_reports.ci_files import LIMIT, badge, junit, plain, summary
from bnconform_reports.pictures.figures import draw_curves
from bnconform_reports.pictures.matrix_picture import draw_matrix
from bnconform_reports.records.schema import Cell

NAN = math.nan


def test_summary_has_what_matters_first() -> None:
    """The summary opens with the headline; new findings, counts and known deviations follow in this order."""
    text = summary(merge(small()))
    places = [
        text.index(part) for part in ("3 of 12 cells break", "not known before\n", "| implementation | ✓", "Known")
    ]
    assert places == sorted(places)


def test_summary_counts_each_implementation() -> None:
    """A row for each implementation has its number of cells of every verdict, its grade and its worst allowed error."""
    rows = [line.split(" | ") for line in summary(merge(small())).splitlines() if line.startswith("| torch |")]
    assert rows == [["| torch", "4", "0", "1", "0", "1", "0", "TT", "0.50 S1 |"]]


def test_summary_of_very_many_findings_is_cut() -> None:
    """A summary that is too long is cut at the end of a line and says so; the new findings are still there."""
    ids = [f"F{i}" for i in range(1, 10)]
    reasons = [(id, i, f"{id} {i} " + "x" * 900) for i in range(120) for id in ids]
    cells = [broken(id, f"implementation_{i}", known={**KNOWN, "reason": why}) for id, i, why in reasons]
    text = summary(merge(run([broken("N1", "mine"), *cells])))
    assert LIMIT - 2000 < len(text.encode()) <= LIMIT
    assert text.endswith("|\n\nCut here, the rest is on the page.\n")
    assert "| N1 | mine |" in text


@pytest.mark.parametrize(
    "text",
    [
        SCRIPT_NAME,
        "a|b",
        "[x](javascript:y)",
        "`x`",
        "a\n# b",
        "![x](http://y)",
        "<!--",
        "@me",
        "where |mean| is #1 & more",
    ],
)
def test_text_is_plain_in_markdown(text: str) -> None:
    """No text of a record means anything in Markdown or HTML."""
    assert not set(plain(text)) & set("<>|`[]!@\n")
    assert "://" not in plain(text)
    assert unescape(plain(text)) == " ".join(text.split())


def test_junit_has_a_case_for_every_cell() -> None:
    """Every cell is a test case: new findings fail; laws with a known deviation, not claimed or not run are skipped."""
    root = ElementTree.fromstring(junit(merge(small())))
    outcomes = {
        (case.attrib["classname"].removeprefix("bnconform."), case.attrib["name"].split()[0]): case
        for case in root.iter("testcase")
    }
    assert len(outcomes) == len(small().cells)
    for c in small().cells:
        (*inside,) = outcomes[c.implementation, c.requirement]
        expected = {"breaks": "skipped" if c.known else "failure", "not claimed": "skipped", "not run": "skipped"}
        assert [element.tag for element in inside] == ([expected[c.verdict]] if c.verdict in expected else [])
    suites = {suite.attrib["name"]: suite.attrib for suite in root}
    assert (suites[SCRIPT_NAME]["failures"], suites["torch"]["failures"]) == ("1", "0")
    assert (suites["torch"]["tests"], suites["torch"]["skipped"]) == ("6", "2")


def test_junit_has_an_error_where_nothing_was_judged() -> None:
    """A law on which the suite failed is an error with its traceback, which no CI takes for a success."""
    failed = Cell("F2", "a", "not judged", "bnconform failed: KeyError", traceback="Traceback: here")
    root = ElementTree.fromstring(junit(merge(run([cell("F1", "a"), failed]))))
    assert root[0].attrib["errors"] == "1"
    (error,) = root.iter("error")
    assert (error.attrib["message"], error.text) == ("not judged: bnconform failed: KeyError", "Traceback: here")


def test_junit_holds_what_xml_cannot() -> None:
    """Control characters of a record do not spoil the XML."""
    name = "a\x00b\x1b[31m\ud800"
    root = ElementTree.fromstring(junit(merge(run([cell("F1", name, "not run", reason="\x07")]))))
    assert root[0].attrib["name"] == "a�b�[31m�"


@pytest.mark.parametrize(
    ("cells", "message", "color"),
    [
        ([broken("F1", "a"), cell("F2", "a")], "breaks 1 of 2", "red"),
        ([broken("F1", "a", known={"kind": "bug", "reason": "r", "versions": "v"})], "1 known of 1", "yellow"),
        ([cell("F1", "a"), cell("F2", "a", "not claimed")], "1 met", "brightgreen"),
        ([cell("F1", "a", "not run")], "not judged", "lightgrey"),
        ([cell("F1", "a", "not judged"), cell("F2", "a")], "1 not judged", "lightgrey"),
    ],
)
def test_badge_is_what_shields_reads(cells: Any, message: str, color: str) -> None:
    """The badge has the fields of the endpoint's schema, and its colour separates new findings from known ones."""
    expected = {"schemaVersion": 1, "label": "batch norm", "message": message, "color": color}
    assert json.loads(badge(merge(run(cells)))) == expected


@pytest.mark.parametrize("results", [small, large])
@pytest.mark.parametrize("picture", [draw_matrix, draw_curves])
def test_picture_has_one_size(picture: Any, results: Any, tmp_path: Path) -> None:
    """The PNG has the same size in pixels for small and large records, and the SVG is XML that runs nothing."""
    picture(merge(results()), tmp_path)
    png, svg = (min(tmp_path.glob(f"*.{kind}")) for kind in ("png", "svg"))
    inches = sys.modules[picture.__module__].SIZE
    header = png.read_bytes()[:24]
    assert header[1:4] == b"PNG"
    pixels = (int.from_bytes(header[16:20]), int.from_bytes(header[20:24]))
    assert pixels == (round(inches[0] * 100), round(inches[1] * 100))
    root = ElementTree.fromstring(svg.read_text())
    assert root.tag.endswith("svg")
    assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_picture_draws_names_of_any_characters(tmp_path: Path) -> None:
    """Names that the font lacks, that cannot be printed, or that look like formulas do not stop the figures."""
    names = ("核.py", "a\x00\n", "$\\frac$", "x" * 300)
    found = merge(run([cell("F1", name) for name in names], measures={name: measures(9.0, NAN) for name in names}))
    draw_matrix(found, tmp_path)
    draw_curves(found, tmp_path)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 8
    assert min(sizes) > 1000


def test_no_figure_of_what_was_not_measured(tmp_path: Path) -> None:
    """If no fixed case was run, there is no figure of errors."""
    draw_curves(merge(run([cell("F1", "a")])), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_picture_is_the_same_again(tmp_path: Path) -> None:
    """The same record gives the same bytes."""
    made = []
    for _ in range(2):
        draw_matrix(merge(small()), tmp_path)
        made.append([(tmp_path / f"matrix.{kind}").read_bytes() for kind in ("png", "svg")])
    assert made[0] == made[1]
