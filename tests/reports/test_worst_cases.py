"""Curves over length and steps, and the case with the worst error of each."""

from __future__ import annotations

import re
import shlex
from math import isinf

import pytest
from read_page import Node, parsed
from sample_runs import HANDED, SCRIPT_NAME, measured, measures, merge, small

from bnconform.cases.fixed_cases import KINDS, Handed, fixed_case
from bnconform.cli import main
from bnconform.running.measurement_text import describe_fixed
from bnconform_reports.html_page import page
from bnconform_reports.pictures.curves import SHOWN, all_curves
from bnconform_reports.sections.worst_cases import worst_cases


@pytest.fixture(scope="module")
def root() -> Node:
    """The page of the small record."""
    return parsed(page(merge(small())))


def test_every_kind_has_its_charts(root: Node) -> None:
    """Conditioning and length are in the section on accuracy, drift has its own; a chart for each quantity shown."""
    titles = [caption.text for caption in root.all("figcaption")]
    for title in ("|mean|/sd", "values per channel", "training steps"):
        assert any(title in one for one in titles)
    drift = [caption.text for caption in root.one("section", id="drift").all("figcaption")]
    assert [one.split(":")[0] for one in drift] == list(SHOWN["drift"].values())


def test_each_curve_leads_to_the_case_of_its_largest_ratio(root: Node) -> None:
    """The mark on a curve links to a case whose text is that of the place where the ratio is largest."""
    found = merge(small())
    cases = {node.attributes["id"]: node for node in root.all("details") if "case-" in node.attributes.get("id", "")}
    linked = {a.attributes["href"][1:] for svg in root.all("svg") for a in svg.all("a")}
    assert linked == set(cases)
    for kind, shown in all_curves(found).items():
        for curve in (curve for of_one in shown for curve in of_one.curves):
            ratio, at = curve.worst
            points = [p for p in found.measures[curve.names[0]]["points"] if p["kind"] == kind]
            assert ratio in [worst["ratio"] for p in points if p["at"] == at for worst in p["worst"].values()]
            case = cases[f"case-{kind}-{at:g}".replace("+", "")]
            assert "\n".join(describe_fixed(kind, at, HANDED)) == next(case.all("pre")).text
            assert ("not a finite number" if isinf(ratio) else f"{ratio:.3g} times the allowed error") in case.text


def test_command_of_a_case_measures_its_point(root: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """The command on the page is one that `bnconform` takes."""
    commands = {text for node in root.one("section", id="drift").all("pre") for text in node.text.splitlines()}
    command = next(text for text in commands if text.startswith("bnconform measure torch "))
    _, *arguments = shlex.split(command.replace("torch", "reference"))
    assert main(arguments) == 0
    assert re.search(r"drift, training steps \d+ +running_mean", capsys.readouterr().out)


def test_name_in_a_command_is_quoted(root: Node) -> None:
    """A name that a shell would read otherwise is one word of the command."""
    words = [
        shlex.split(line) for node in root.all("pre") for line in node.text.splitlines() if "bnconform measure" in line
    ]
    assert any(SCRIPT_NAME in one for one in words)


def test_cases_of_other_numbers_are_told_apart() -> None:
    """An implementation that was given another eps has a worst case of its own, which says so."""
    other = measures(2.0)
    other["handed"]["eps"] = 0.001
    found = measured(a=measures(3.0), b=other)
    cases = worst_cases(found, all_curves(found)["drift"])
    assert [case.title for case in cases] == ["training steps 1, eps 1e-05", "training steps 1, eps 0.001"]
    assert len({case.anchor for case in cases}) == 2
    assert "eps 0.001" in cases[1].case


def test_one_command_stands_for_all_quantities_of_a_case() -> None:
    """If one case has the worst errors of several quantities of an implementation, it is named once."""
    found = measured(a=measures(3.0), b=measures(2.0))
    (case,) = worst_cases(found, all_curves(found)["drift"])
    assert [one.names for one in case.errors] == ["a", "b"]
    for one in case.errors:
        assert "running mean: " in one.what
        assert "running variance: " in one.what


def test_place_that_nobody_measures_makes_no_case() -> None:
    """If a record names a place beyond reach, or does not say what was given, the page leaves the case out."""
    far = measures(2.0)
    far["points"].append({"kind": "length", "at": 1e15, "worst": {"y": {"ulp": 1.0, "ratio": 9.0, "allowed": 1.0}}})
    old = measures(3.0)
    del old["handed"]
    found = measured(far=far, old=old)
    assert [case.case for case in worst_cases(found, all_curves(found)["length"])] == ["", ""]
    assert "does not say" in page(found)


@pytest.mark.parametrize("kind", KINDS)
def test_case_is_the_same_for_all_that_are_handed_the_same(kind: str) -> None:
    """Equal places and equal inputs of an implementation give equal bits."""
    first, second = (fixed_case(kind, 16.0, Handed(**vars(HANDED))) for _ in range(2))  # type: ignore[arg-type]
    assert [case.x.tobytes() for case in first] == [case.x.tobytes() for case in second]
