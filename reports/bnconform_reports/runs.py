"""Several runs as one record: shards, machines, days.

A record of runs is a set. Each run is known by what it holds, so that merging is union: in any order, grouped in any
way, and the same run given twice is one run. What the runs say together is derived from the set, in
:mod:`bnconform_reports.together`, and never stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bnconform_reports.records import SCHEMA, Results, ResultsError, from_data, read_json, write_json

RUNS_SCHEMA = "bnconform.runs/3"


def run_id(run: Results) -> str:
    """What a run is known by: a digest of all that it holds."""
    text = json.dumps(run.as_data(), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Runs:
    """A set of runs, from the earliest to the latest.

    Attributes
    ----------
    runs : tuple of Results
    """

    runs: tuple[Results, ...]

    @classmethod
    def of(cls, runs: Iterable[Results]) -> Runs:
        """The set of these runs."""
        by_id = {run_id(run): run for run in runs}
        return cls(tuple(run for _, run in sorted(by_id.items(), key=lambda item: (item[1].created, item[0]))))

    def merge(self, other: Runs) -> Runs:
        """The union of two sets."""
        return Runs.of((*self.runs, *other.runs))

    def write(self, path: Path) -> None:
        """Write the record as JSON; equal sets give equal bytes."""
        write_json(
            {"schema": RUNS_SCHEMA, "runs": [{"id": run_id(run)} | run.as_data() for run in self.runs]},
            path,
        )


def read_runs(path: Path) -> Runs:
    """Read a record of one run or of several.

    Raises
    ------
    ResultsError
        The file cannot be read, is not JSON, has another schema, or is damaged.
    """
    data = read_json(path)
    found = data.pop("schema", None) if isinstance(data, dict) else None
    if found == SCHEMA:
        return Runs.of([from_data(data, path)])
    if found != RUNS_SCHEMA:
        raise ResultsError(f"{path} has schema {found!r}; this version reads {SCHEMA!r} and {RUNS_SCHEMA!r}")
    runs = data.get("runs")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise ResultsError(f"{path} is damaged: runs is not a list of records")
    return Runs.of(from_data({name: value for name, value in run.items() if name != "id"}, path) for run in runs)
