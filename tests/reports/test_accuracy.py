"""Accuracy side by side: the page shows the numbers of the record."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from read_page import Node, parsed
from sample_runs import SCRIPT_NAME, cell, measured, measures, merge, run, small

from bnconform_reports.html_page import page
from bnconform_reports.pictures.charts import FRAME, Chart, error_chart
from bnconform_reports.pictures.curves import all_curves
from bnconform_reports.records.merging import Merged
from bnconform_reports.records.wording import ratio_text
from bnconform_reports.sections.accuracy import GROUPS, ORDINARY, Error, accuracies, pairs

INF, NAN = math.inf, math.nan


@pytest.fixture(scope="module")
def found() -> Merged:
    """The small record, merged."""
    return merge(small())


@pytest.fixture(scope="module")
def root(found: Merged) -> Node:
    """Its page."""
    return parsed(page(found))


def charts(found: Merged) -> list[Chart]:
    """The charts of errors against conditioning."""
    return [error_chart(found, of) for of in all_curves(found)["conditioning"]]


def numbers(row: Node) -> list[str]:
    """The cells of a row."""
    return [td.text for td in row.all("td")]


def test_accuracy_table_shows_the_worst_of_the_record(root: Node) -> None:
    """For each implementation and group the table has the largest ratio of the record's points, and its ULP."""
    for row in root.one("table", id="accuracy").one("tbody").all("tr"):
        name = row.one("th").text.split(" (")[0]
        points = small().measures[name]["points"]
        expected, ulps = [], []
        for wanted in (
            lambda p: p["kind"] == "conditioning" and p["at"] <= ORDINARY,
            lambda p: p["kind"] == "conditioning" and p["at"] > ORDINARY,
            lambda p: p["kind"] == "length",
        ):
            for names in GROUPS.values():
                worst = [p["worst"][n] for p in points if wanted(p) for n in names if n in p["worst"]]
                largest = max(worst, key=lambda w: float(w["ratio"]), default=None)
                expected.append("·" if largest is None else ratio_text(float(largest["ratio"])))
                ulps += [] if largest is None else [f"{float(largest['ulp']):.3g} ulp"]
        assert numbers(row) == expected
        titles = [td.attributes["title"].split(",")[0] for td in row.all("td") if "title" in td.attributes]
        assert titles == ulps


def test_pairs_are_all_of_one_dtype(found: Merged) -> None:
    """Every unordered pair of implementations in one dtype is compared, the largest difference first."""
    names = ["torch", "flax.linen", SCRIPT_NAME]
    told = pairs(found)
    assert {frozenset((pair.a, pair.b)) for pair in told} == {frozenset(pair) for pair in combinations(names, 2)}
    worst = [pair.worst for pair in told]
    assert worst == sorted(worst, reverse=True)  # type: ignore[type-var]


def test_pair_differs_by_the_difference_of_signed_deviations() -> None:
    """Deviations of unlike sign add, those of like sign cancel; the ratio is of the larger allowed error."""
    (pair,) = pairs(measured(a=measures(0.25, 0.5, 1.0), b=measures(-0.5, 1.0, 7000.0)))
    assert pair.ordinary["y"] == Error(ratio=0.375, ulp=7.5, at=1.0)
    assert pair.hard["gradients"] == Error(ratio=69990.0 / 20.0, ulp=69990.0, at=100.0)
    (same,) = pairs(measured(a=measures(3.0, 4.0), b=measures(3.0, 4.0)))
    assert (same.worst, same.hard["y"]) == (0.0, None)


@pytest.mark.parametrize(("a", "b", "ratio"), [(NAN, NAN, 0.0), (INF, INF, 0.0), (1.0, NAN, INF), (INF, 1.0, INF)])
def test_values_that_are_not_finite_differ_from_finite_ones_only(a: float, b: float, ratio: float) -> None:
    """Two implementations agree where neither gives a finite value; if only one does, the difference is infinite."""
    (pair,) = pairs(measured(a=measures(a), b=measures(b)))
    assert pair.worst == ratio


def test_page_shows_each_pair(root: Node, found: Merged) -> None:
    """The table of pairs has the numbers of the comparison."""
    rows = {row.one("th").text: numbers(row) for row in root.one("table", id="pairs").one("tbody").all("tr")}
    for pair in pairs(found):
        errors = [*pair.ordinary.values(), *pair.hard.values()]
        assert rows[f"{pair.a} and {pair.b}"] == ["·" if e is None else ratio_text(e.ratio) for e in errors]


def test_chart_names_who_crosses_the_line(found: Merged) -> None:
    """Lines above the allowed error have a colour and a text that says by how much; other dtypes are not drawn."""
    first = charts(found)[0]
    inks = {line.names: line.ink for line in first.lines}
    assert inks == {"torch": 0, "flax.linen": 1, SCRIPT_NAME: 2}
    told = next(line.error for line in first.lines if line.names == "flax.linen")
    assert told == "3.5e+03 times the allowed error at |mean|/sd = 100"
    assert [chart.title for chart in charts(found)] == ["y", "running variance", "dx"]


def test_chart_stays_in_its_frame(found: Merged) -> None:
    """Every point of a line lies inside the drawing, infinite and zero errors too, and larger errors lie higher."""
    for chart in charts(found):
        for text in [*(line.points for line in chart.lines), chart.allowed]:
            for point in text.split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= FRAME["width"]
                assert 0 <= y <= FRAME["height"]
        heights = [float(p.split(",")[1]) for line in chart.lines if line.names == "torch" for p in line.points.split()]
        assert heights == sorted(heights, reverse=True)


def test_equal_curves_are_one_line() -> None:
    """Implementations of equal numbers share a line, which names them all."""
    first, *_ = charts(measured(a=measures(1.0, 2.0), b=measures(1.0, 2.0), c=measures(1.0, 3.0)))
    assert sorted(line.names for line in first.lines) == ["a, b", "c"]


def test_point_that_raised_is_told() -> None:
    """If a case raised, the table says so beside the implementation's name."""
    failed = measures(1.0)
    failed["points"].append({"kind": "length", "at": 2.0, "worst": {}, "error": "raises: ValueError: n = 2"})
    found = measured(a=failed)
    assert accuracies(found)[0].trouble == "raises: ValueError: n = 2"
    assert "raises: ValueError: n = 2" in parsed(page(found)).one("table", id="accuracy").text


def test_record_without_measures_says_how_to_get_them() -> None:
    """If nothing was measured, the page says what to do."""
    section = parsed(page(merge(run([cell("F1", "a")])))).one("section", id="comparison")
    assert "--bn-measure" in section.text
    assert not list(section.all("table"))
