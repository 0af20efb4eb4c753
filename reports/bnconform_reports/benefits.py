"""Batch norm at work: the experiments as a page of their own, and as a section of the report."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bnconform_reports.benefit_charts import BenefitChart, benefit_chart
from bnconform_reports.benefit_figure import draw_benefits
from bnconform_reports.records import write_json

VERDICTS = ("as claimed", "undecided", "contrary")
LOOKS = {"as claimed": "m", "undecided": "r", "contrary": "k", "": "n"}
"""Of a verdict: the class of its colours in style.css; the word always stands beside."""


@dataclass(frozen=True)
class Row:
    """One number that an experiment gave, of every implementation.

    Attributes
    ----------
    what : str
    cells : list of (str, str, str) or None
        Value with its interval, verdict, and the verdict's look.
    """

    what: str
    cells: list[tuple[str, str, str] | None]


@dataclass(frozen=True)
class Shown:
    """One experiment as the template shows it."""

    data: dict[str, Any]
    charts: list[BenefitChart]
    columns: list[str]
    rows: list[Row]
    counts: dict[str, int]


@dataclass(frozen=True)
class Section:
    """All experiments as the template shows them."""

    subjects: list[str]
    seeds: int
    steps: int
    experiments: list[Shown]
    verdicts: tuple[str, ...] = VERDICTS

    @property
    def headline(self) -> str:
        """What came of all claims, in a line."""
        counts = {word: sum(one.counts[word] for one in self.experiments) for word in VERDICTS}
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        return f"batch norm at work: of {sum(counts.values())} claimed effects {told}"


def section(data: dict[str, Any]) -> Section:
    """A record as the template shows it."""
    shown = [_shown(experiment, data["subjects"]) for experiment in data["experiments"]]
    return Section(data["subjects"], data["seeds"], data["steps"], shown)


def _shown(experiment: dict[str, Any], subjects: list[str]) -> Shown:
    facts = experiment["facts"]
    columns = list(dict.fromkeys(fact["subject"] for fact in facts))
    rows = []
    for what in dict.fromkeys(fact["what"] for fact in facts):
        of = {fact["subject"]: _cell(fact) for fact in facts if fact["what"] == what}
        rows.append(Row(what, [of.get(column) for column in columns]))
    counts = {word: sum(fact["verdict"] == word for fact in facts) for word in VERDICTS}
    return Shown(experiment, [benefit_chart(panel, subjects) for panel in experiment["panels"]], columns, rows, counts)


def _cell(fact: dict[str, Any]) -> tuple[str, str, str]:
    value = fact["value"]
    if None in value.values():
        return "not finite", fact["verdict"], LOOKS.get(fact["verdict"], "n")
    text = f"{value['mean']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
    return text, fact["verdict"], LOOKS.get(fact["verdict"], "n")


def write_benefits(data: dict[str, Any], folder: Path) -> Section:
    """Write benefits.html, benefits.json and the figures into a folder; give what they say.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    found = section(data)
    write_json(data, folder / "benefits.json")
    (folder / "benefits.html").write_text(page(found), encoding="utf-8")
    draw_benefits(data, folder)
    return found


def page(found: Section) -> str:
    """The page, which needs nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from bnconform_reports.chart import frame

    environment = Environment(
        loader=PackageLoader("bnconform_reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (resources.files("bnconform_reports") / "templates" / "style.css").read_text(encoding="utf-8")
    return environment.get_template("benefits_page.html").render(benefits=found, frame=frame(), style=Markup(style))
