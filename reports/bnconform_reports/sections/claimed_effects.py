"""Batch norm at work: the experiments and their claimed effects, for a page of their own or a section of the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

from bnconform_reports.pictures.charts import PanelChart, panel_chart

VERDICTS = ("as claimed", "undecided", "contrary")
LOOKS = {"as claimed": "m", "undecided": "r", "contrary": "k"}
"""The class of a verdict's colours in style.css; the word is always shown beside it."""


Values: TypeAlias = list[tuple[str, str, str] | None]
"""For each implementation the value of a quantity with its interval, the verdict, and the verdict's look."""


@dataclass(frozen=True)
class Experiment:
    """One experiment as the template shows it."""

    data: dict[str, Any]
    charts: list[PanelChart]
    columns: list[str]
    rows: list[tuple[str, Values]]
    counts: Counter[str]


@dataclass(frozen=True)
class ClaimedEffects:
    """All experiments as the template shows them."""

    subjects: list[str]
    seeds: int
    experiments: list[Experiment]
    verdicts: tuple[str, ...] = VERDICTS

    @property
    def headline(self) -> str:
        """The result of all claims, in a line."""
        counts = {word: sum(one.counts[word] for one in self.experiments) for word in VERDICTS}
        found = ", ".join(f"{count} {word}" for word, count in counts.items())
        return f"batch norm at work: of {sum(counts.values())} claimed effects {found}"


def claimed_effects(data: dict[str, Any]) -> ClaimedEffects:
    """Prepare a record of experiments for the template."""
    experiments = [_experiment(experiment, data["subjects"]) for experiment in data["experiments"]]
    return ClaimedEffects(data["subjects"], data["seeds"], experiments)


def _experiment(experiment: dict[str, Any], subjects: list[str]) -> Experiment:
    facts = experiment["facts"]
    columns = list(dict.fromkeys(fact["subject"] for fact in facts))
    rows: list[tuple[str, Values]] = []
    for what in dict.fromkeys(fact["what"] for fact in facts):
        of = {fact["subject"]: _cell(fact) for fact in facts if fact["what"] == what}
        rows.append((what, [of.get(column) for column in columns]))
    charts = [panel_chart(panel, subjects) for panel in experiment["panels"]]
    return Experiment(experiment, charts, columns, rows, Counter(fact["verdict"] for fact in facts))


def _cell(fact: dict[str, Any]) -> tuple[str, str, str]:
    value = fact["value"]
    text = "not finite"
    if None not in value.values():
        text = f"{value['mean']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
    return text, fact["verdict"], LOOKS.get(fact["verdict"], "n")
