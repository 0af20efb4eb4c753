"""Runs of one profile on machines and versions that are alike, as one line of what made a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bnconform_reports.records import Results


@dataclass(frozen=True)
class Alike:
    """Such runs.

    Attributes
    ----------
    runs : tuple of Results
        From the earliest to the latest.
    """

    runs: tuple[Results, ...]

    @property
    def when(self) -> str:
        """The minutes of the first and of the last, in UTC."""
        ends = dict.fromkeys(run.created[:16].replace("T", " ") for run in (self.runs[0], self.runs[-1]))
        return f"{' to '.join(ends)} UTC"

    @property
    def seeds(self) -> str:
        """Each once."""
        found = sorted({run.seed for run in self.runs})
        return f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"

    @property
    def profile(self) -> str:
        """Of all."""
        return self.runs[0].profile

    @property
    def machine(self) -> str:
        """Of all."""
        return self.runs[0].machine

    @property
    def versions(self) -> Mapping[str, str]:
        """Of all."""
        return self.runs[0].versions


def alike(runs: Iterable[Results]) -> list[Alike]:
    """The runs in groups, in the order of the earliest of each."""
    groups: dict[object, list[Results]] = {}
    for run in runs:
        groups.setdefault((run.profile, run.machine, tuple(sorted(run.versions.items()))), []).append(run)
    return [Alike(tuple(group)) for group in groups.values()]
