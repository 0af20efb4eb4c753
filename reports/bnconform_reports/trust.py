"""Why trust a green cell: what the suite, and the usual checks, catch of batch norms that are known to be faulty."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Family:
    """Faults of one kind, and how many of them are caught.

    Attributes
    ----------
    about : str
    specimens, suite : int
        How many there are, and how many of them the suite catches.
    caught : dict of str to int
        By the id of each usual check.
    """

    about: str
    specimens: int
    suite: int
    caught: dict[str, int]


@dataclass(frozen=True)
class Check:
    """One usual check: what it is called, what it does, where its rule stands, and its false alarms."""

    id: str
    title: str
    rule: str
    source: str
    alarms: int


@dataclass(frozen=True)
class Trust:
    """What `benchmarks/measure_usual_checks.py` counted.

    Attributes
    ----------
    torch : str
        The version that the usual checks compared with.
    profile : str
    seeds : tuple of int
        Of the suite: a specimen counts where it is caught under each of them.
    checks : tuple of Check
    families : tuple of Family
    missed_by_all : int
        Specimens that pass every usual check.
    correct : int
        Correct makes that were set before the checks, too.
    """

    torch: str
    profile: str
    seeds: tuple[int, ...]
    checks: tuple[Check, ...]
    families: tuple[Family, ...]
    missed_by_all: int
    correct: int

    @property
    def total(self) -> Family:
        """All families together."""
        return Family(
            "all",
            sum(one.specimens for one in self.families),
            sum(one.suite for one in self.families),
            {check.id: sum(one.caught[check.id] for one in self.families) for check in self.checks},
        )


def trust() -> Trust:
    """What was counted last, as it is packaged."""
    return from_data(json.loads((resources.files("bnconform_reports") / "data" / "usual_checks.json").read_text()))


def from_data(data: dict[str, Any]) -> Trust:
    """The counts from their JSON data."""
    families = [{key: value for key, value in one.items() if key != "family"} for one in data["families"]]
    return Trust(
        torch=data["torch"],
        profile=data["profile"],
        seeds=tuple(data["seeds"]),
        checks=tuple(Check(**check, alarms=data["alarms"][check["id"]]) for check in data["checks"]),
        families=tuple(Family(**one) for one in families),
        missed_by_all=data["missed_by_all"],
        correct=data["correct"],
    )
