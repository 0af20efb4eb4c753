"""Batch norm at work as a page and as a section of the report: what it shows, escapes and refuses."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from sample_runs import SCRIPT_NAME, small

from bnconform.cli import main
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform_reports.html_page import benefits_page
from bnconform_reports.pictures.charts import Scale, panel_chart
from bnconform_reports.records.checking import check_benefits
from bnconform_reports.sections.claimed_effects import claimed_effects


def record(name: str = "torch") -> dict[str, Any]:
    """Two small experiments, one with a value that is not finite."""
    lines = [
        line(name, name, [0.5, 1, 2, 4], [[0.1, 0.3], [0.5, 0.7], [0.9, 0.9], [float("nan"), 1.0]]),
        line("no normalization", "no normalization", [0.5, 1], [[0.1, 0.1], [0.0, 0.2]]),
    ]
    facts = [
        Fact(name, "octaves more", Interval(2.0, 1.0, 3.0), "above 0"),
        Fact(name, "turn of the gradient", Interval(2.0, 1.0, 3.0), "below 0"),
        Fact(name, "gain", Interval(0.1, -0.1, 0.3), "above 0"),
        Fact("no normalization", "octaves", Interval(float("nan"), 1.0, 2.0)),
    ]
    panel = Panel("after 4 steps", "learning rate", "held-out accuracy", lines, x_log=True)
    told = Experiment("rates", "Range & rates", "a < b", "done", "limits", ["Ioffe and Szegedy 2015"], [panel], facts)
    other = Experiment("shift", "Shift", "c", "d", "l", ["Santurkar et al. 2018"])
    experiments = [told.as_data(), other.as_data()]
    found = {
        "schema": "bnconform.commands.benefits/1",
        "subjects": [name],
        "seeds": 2,
        "steps": 4,
        "experiments": experiments,
    }
    return json.loads(json.dumps(found, allow_nan=False))  # type: ignore[no-any-return]


def written(folder: Path, data: dict[str, Any]) -> str:
    """The path of a file with a record."""
    path = folder / "benefits.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_page_says_what_came_of_each_claim() -> None:
    """Headline, counts and verdicts are those of the facts."""
    found = claimed_effects(record())
    assert found.headline == "batch norm at work: of 3 claimed effects 1 as claimed, 1 undecided, 1 contrary"
    text = benefits_page(found)
    assert "2 [1, 3]" in text
    assert '<span class="key m">as claimed</span>' in text
    assert '<span class="key k">contrary</span>' in text
    assert '<span class="key r">undecided</span>' in text
    assert "not finite" in text
    assert "Range &amp; rates" in text
    assert "a &lt; b" in text


def test_names_are_escaped_and_nothing_runs() -> None:
    """A name that holds markup is text, and the page's policy lets no script run."""
    text = benefits_page(claimed_effects(record(SCRIPT_NAME)))
    assert SCRIPT_NAME not in text
    assert "<script" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert not re.search(r"(src|href)=[\"'](?!#)", text)


def test_curves_hold_their_points_inside_the_frame() -> None:
    """Larger values lie higher, values that are not finite are left out, and each implementation has its colour."""
    chart = panel_chart(record()["experiments"][0]["panels"][0], ["torch"])
    curve, plain = chart.curves
    points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert len(points) == 3
    assert len(curve.band.split()) == 6
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0][1] > points[1][1] > points[2][1]
    assert (curve.ink, plain.ink) == (1, 0)
    assert [text for _, text in chart.across] == ["0.5", "1", "2", "4"]


@pytest.mark.parametrize(
    ("values", "log", "ticks"),
    [
        ([0.0, 1.0], False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([0.3, 0.3], False, ["-0.2", "0", "0.2", "0.4", "0.6", "0.8"]),
        ([2.0**-10, 1.0], True, ["0.000976562", "0.00390625", "0.015625", "0.0625", "0.25", "1"]),
        ([0.3, 0.4], True, ["0.3"]),
        ([0.0, -1.0], True, ["1", "2"]),
        ([], False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
    ids=str,
)
def test_axes_have_round_ticks(values: list[float], log: bool, ticks: list[str]) -> None:
    """Ticks are round and lie between the ends, also where there is one value, or none that can be shown."""
    scale = Scale.over(values, 10, 110, log=log)
    assert [text for _, text in scale.ticks()] == ticks
    assert all(10 <= place <= 110 for place, _ in scale.ticks())


def test_report_takes_the_record_in_as_a_section(tmp_path: Path) -> None:
    """Beside results, benefits.json becomes a section with its figures; without it there is none."""
    small().write(tmp_path / "results.json")
    results = str(tmp_path / "results.json")
    assert main(["report", results, written(tmp_path, record()), "-o", str(tmp_path / "site")]) == 0
    text = (tmp_path / "site" / "index.html").read_text()
    assert '<section id="benefits"' in text
    assert '<a href="#benefits">' in text
    assert json.loads((tmp_path / "site" / "benefits.json").read_text()) == record()
    assert (tmp_path / "site" / "benefits-rates.svg").is_file()
    assert main(["report", results, "-o", str(tmp_path / "plain")]) == 0
    assert 'id="benefits"' not in (tmp_path / "plain" / "index.html").read_text()


def test_figures_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    """A report that is written twice is the same."""
    small().write(tmp_path / "results.json")
    for name in ("one", "two"):
        main(["report", str(tmp_path / "results.json"), written(tmp_path, record()), "-o", str(tmp_path / name)])
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def damaged(path: str, value: object) -> dict[str, Any]:
    """The record with one part replaced, by its dotted path."""
    data: Any = copy.deepcopy(record())
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = data
    for part in way:
        place = place[part]
    place[last] = value
    return data  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seeds", "many"),
        ("subjects", [1]),
        ("experiments", {"a": 1}),
        ("experiments.0.id", "../up"),
        ("experiments.0.claim", None),
        ("experiments.0.panels.0.x_log", "yes"),
        ("experiments.0.panels.0.lines.0.x", [1]),
        ("experiments.0.panels.0.lines.0.y.0", {"mean": 1}),
        ("experiments.0.panels.0.lines.0.y.0.mean", "1"),
        ("experiments.0.facts.0.value.low", True),
        ("experiments.0.facts.0.value.low", 10**400),
        ("experiments.0.panels.0.lines.0.y.0.high", float("inf")),
        ("experiments.0.facts.0", {}),
    ],
)
def test_damaged_record_is_refused(
    path: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record with a wrong part is refused in one line, and nothing is written."""
    small().write(tmp_path / "results.json")
    given = [str(tmp_path / "results.json"), written(tmp_path, damaged(path, value))]
    assert main(["report", *given, "-o", str(tmp_path / "site")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "benefits.json is damaged" in told
    assert not (tmp_path / "site" / "index.html").exists()


def test_whole_record_is_sound() -> None:
    """The record that the damaged ones are made from passes."""
    check_benefits(record())


def test_two_records_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Experiments are not merged: two of them are refused."""
    first = written(tmp_path, record())
    (tmp_path / "b").mkdir()
    second = written(tmp_path / "b", record())
    assert main(["report", first, second, "-o", str(tmp_path / "site")]) == 2
    assert "both of bnconform benefits; pass one" in capsys.readouterr().err


def test_command_refuses_what_cannot_be_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown implementation, one without gradients, and a folder that cannot be made, in one line each."""
    (tmp_path / "file").write_text("")
    kernel = tmp_path / "kernel.py"
    kernel.write_text("def forward_inference(x, weight, bias, running_mean, running_var, *, eps):\n    return x\n")
    for arguments, told in (
        (["--adapter", "torhc", "-o", str(tmp_path / "a")], "unknown adapter 'torhc': did you mean 'torch'?"),
        (["--adapter", str(kernel), "-o", str(tmp_path / "b")], "kernel.py cannot be trained with: it does not claim"),
        (["--adapter", "reference", "-o", str(tmp_path / "file")], "cannot make the folder"),
    ):
        assert main(["benefits", "--short", *arguments]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1, message
        assert told in message
