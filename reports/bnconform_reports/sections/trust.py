"""Why trust a green cell: how many faulty batch norms the suite catches, and how many the usual checks do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Family:
    """Faults of one kind: how many there are, how many the suite catches, and how many each usual check catches."""

    about: str
    specimens: int
    suite: int
    caught: dict[str, int]


@dataclass(frozen=True)
class Check:
    """One usual check: its name, what it does, the source of its rule, and its false alarms."""

    id: str
    title: str
    rule: str
    source: str
    alarms: int


@dataclass(frozen=True)
class Trust:
    """The counts of `benchmarks/measure_usual_checks.py`.

    Attributes
    ----------
    torch : str
        The version that the usual checks compared against.
    profile : str
    seeds : tuple of int
        Seeds of the suite: a specimen counts as caught if it is caught under each of them.
    checks : tuple of Check
    families : tuple of Family
    missed_by_all : int
        Specimens that pass every usual check.
    correct : int
        How many correct implementations were given to the checks, too.
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
        """The sums over all families."""
        return Family(
            "all",
            sum(one.specimens for one in self.families),
            sum(one.suite for one in self.families),
            {check.id: sum(one.caught[check.id] for one in self.families) for check in self.checks},
        )


def trust() -> Trust:
    """The latest counts, which are part of the package."""
    data = json.loads((resources.files("bnconform_reports") / "data" / "usual_checks.json").read_text())
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
