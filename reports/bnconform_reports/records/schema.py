"""The record of a run and the set of several, and how they are written to `results.json`."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bnconform.training.experiments.facts import plain
from bnconform_adapters.errors import UserError

SCHEMA = "bnconform.results/3"
RUNS_SCHEMA = "bnconform.runs/3"
Verdict: TypeAlias = Literal["meets", "breaks", "differs", "not claimed", "not run", "not judged"]
VERDICTS: tuple[Verdict, ...] = ("meets", "differs", "breaks", "not claimed", "not run", "not judged")
JUDGED = ("meets", "differs", "breaks")
"""Verdicts on what was observed."""
LIBRARIES = ("bnconform", "numpy", "hypothesis", "pytest", "ml_dtypes")


class ResultsError(UserError):
    """A file is not a record of results; the message is one line that says why."""


@dataclass(frozen=True)
class Cell:
    """The verdict on one requirement and one implementation.

    Attributes
    ----------
    verdict : str
    reason : str
        Why the law is not claimed, not run or not judged, or why the implementation differs.
    cases, mistrusted : int
        How many cases were judged, and how many of them could not have failed.
    elements, unbounded, overflowing : int
        How many elements were compared, how many had an infinite allowed error, how many were excused because they may
        overflow.
    worst_ratio, worst_ulp : float
        Largest error as a multiple of the allowed one, and in units in the last place.
    worst_case : str
        How the case of the worst ratio was made.
    grade : str
        The measured accumulation grade, where the requirement measures one.
    finding, witness : dict or None
        What is broken, and the smallest case found, as a case file's data.
    known : dict or None
        Kind, reason, versions and link, where the deviation is on the ledger.
    again : str
        The command that judges a broken law again.
    script : str
        A standalone program that shows what is broken, where one can be written.
    traceback : str
        The traceback, where the suite itself failed.
    usual : int
        Cases that the law gets at the default profile; 0 if the law is not judged by drawing.
    """

    requirement: str
    implementation: str
    verdict: Verdict
    reason: str = ""
    cases: int = 0
    mistrusted: int = 0
    elements: int = 0
    unbounded: int = 0
    overflowing: int = 0
    worst_ratio: float = 0.0
    worst_ulp: float = 0.0
    worst_case: str = ""
    grade: str = ""
    finding: dict[str, Any] | None = None
    witness: dict[str, Any] | None = None
    known: dict[str, str] | None = None
    again: str = ""
    script: str = ""
    traceback: str = ""
    usual: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """Its requirement and its implementation."""
        return self.requirement, self.implementation

    @property
    def is_judged(self) -> bool:
        """True if the verdict is on what was observed."""
        return self.verdict in JUDGED

    @property
    def is_new(self) -> bool:
        """True if the law is broken and the deviation is not on the ledger."""
        return self.verdict == "breaks" and not self.known


@dataclass(frozen=True)
class Results:
    """One run.

    Attributes
    ----------
    created : str
        UTC, ISO 8601.
    versions : dict
        Versions of the suite, of Python, and of the libraries that compute.
    machine : str
    profile, seed
        The values that repeat the run.
    implementations : dict of str to dict
        Name to the versions of its distributions.
    not_run : dict of str to str
        Name to the reason.
    notes : dict of str to str
        Name to what a reader must know about the run of this implementation.
    requirements : dict of str to dict
        Id to level and statement, in the catalogue's order.
    cells : tuple of Cell
    drawn : dict of str to dict
        Name to how many cases of each kind were drawn, such as "dtype: float16".
    identities : dict of str to dict
        Name to the dialect that was measured from outside, see :func:`bnconform.identify.as_text.as_data`; empty if
        nobody asked.
    measures : dict of str to dict
        Name to the deviations on fixed cases, see :func:`bnconform.running.measurement.measure`; empty if nobody asked.
    due : dict of str to list
        Name to the requirements that the run had to judge; one without a cell is read as not judged.
    abouts : dict of str to dict
        Name to "claims", as the adapter states them, and "plan", how many examples each law got.
    """

    created: str
    versions: dict[str, str]
    machine: str
    profile: str
    seed: int
    implementations: dict[str, dict[str, str]]
    not_run: dict[str, str]
    notes: dict[str, str]
    requirements: dict[str, dict[str, str]]
    cells: tuple[Cell, ...] = field(default=())
    drawn: dict[str, dict[str, int]] = field(default_factory=dict)
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    due: dict[str, list[str]] = field(default_factory=dict)
    abouts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_run(
        cls,
        cells: Iterable[Mapping[str, Any]],
        implementations: Iterable[tuple[str, dict[str, str]]],
        requirements: Sequence[tuple[str, str, str]],
        **more: Any,
    ) -> Results:
        """Make the record of a run that ends now, on this machine; `more` holds the other fields."""
        order = {id: i for i, (id, _, _) in enumerate(requirements)}
        by_place = sorted((Cell(**c) for c in cells), key=lambda c: (order[c.requirement], c.implementation))
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
            machine=f"{platform.system()} {platform.machine()}, {sys.byteorder}-endian",
            implementations=dict(implementations),
            requirements={id: {"level": level, "statement": text} for id, level, text in requirements},
            cells=tuple(by_place),
            **more,
        )

    def cell(self, requirement: str, implementation: str) -> Cell | None:
        """The cell of a requirement and an implementation, if there is one."""
        return next((cell for cell in self.cells if cell.place == (requirement, implementation)), None)

    def as_data(self) -> dict[str, Any]:
        """The record as JSON data; infinities and NaN become strings, because JSON has none."""
        data: dict[str, Any] = plain(asdict(self), repr)
        return data

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        write_json({"schema": SCHEMA} | self.as_data(), path)


@dataclass(frozen=True)
class Runs:
    """A set of runs (shards, machines, days), from the earliest to the latest.

    Each run is identified by its content, so merging is the union of sets: runs may be merged in any order and in any
    groups, and the same run given twice is one run. The merged view is derived from the set, in
    :mod:`bnconform_reports.records.merging`, and is never stored.
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

    def as_data(self) -> dict[str, Any]:
        """The set as JSON data, with its schema."""
        return {"schema": RUNS_SCHEMA, "runs": [{"id": run_id(run)} | run.as_data() for run in self.runs]}

    def write(self, path: Path) -> None:
        """Write the set as JSON; equal sets give equal bytes."""
        write_json(self.as_data(), path)


def run_id(run: Results) -> str:
    """The id of a run: a digest of its content."""
    text = json.dumps(run.as_data(), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_json(data: Any, path: Path) -> None:
    """Write JSON data to a file; create its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
