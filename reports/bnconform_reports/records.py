"""The record of a run, and its file `results.json`."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bnconform_adapters.contract import UserError
from bnconform_reports.soundness import check

SCHEMA = "bnconform.results/3"
Verdict: TypeAlias = Literal["meets", "breaks", "differs", "not claimed", "not run", "not judged"]
VERDICTS: tuple[Verdict, ...] = ("meets", "differs", "breaks", "not claimed", "not run", "not judged")
SYMBOLS: dict[str, str] = dict(zip(VERDICTS, "✓≠✗·-?", strict=True))
UNJUDGED = "the record has no verdict on this law"


class ResultsError(UserError):
    """A file is not a record of results; the message is one line that says why."""


@dataclass(frozen=True)
class Cell:
    """The verdict on one requirement and one implementation.

    Attributes
    ----------
    verdict : str
    reason : str
        Why it is not claimed, not run or not judged, or differs.
    cases, mistrusted : int
        Examples judged; of these, such as could not have failed.
    elements, unbounded, overflowing : int
        Elements compared; with an infinite allowed error; excused because they may overflow.
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
        The command that judges it again, where it is broken.
    script : str
        A standalone program that shows what is broken, where one can be written.
    traceback : str
        Where the suite itself failed, how.
    usual : int
        Cases that the law gets at the default profile; 0 where it is not judged by drawing.
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


@dataclass(frozen=True)
class Results:
    """One run.

    Attributes
    ----------
    created : str
        UTC, ISO 8601.
    versions : dict
        Of the suite, Python and the libraries that it computes with.
    machine : str
    profile, seed
        What makes the run again.
    implementations : dict of str to dict
        Name to the versions of its distributions.
    not_run : dict of str to str
        Name to the reason.
    notes : dict of str to str
        What a reader must know of an implementation's run.
    drawn : dict of str to dict
        Name to how many cases of each kind were drawn, as "dtype: float16".
    requirements : dict of str to dict
        Id to level and statement, in the catalogue's order.
    cells : tuple of Cell
    identities : dict of str to dict
        Name to the dialect that was measured from outside, as :func:`bnconform.identify.as_text.as_data` has it; empty
        where nobody asked.
    measures : dict of str to dict
        Name to the deviations on fixed cases, see :func:`bnconform.running.measurement.measure`; empty likewise.
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
        not_run: Mapping[str, str],
        notes: Mapping[str, str],
        requirements: Sequence[tuple[str, str, str]],
        profile: str,
        seed: int,
        drawn: Mapping[str, dict[str, int]] | None = None,
        identities: Mapping[str, dict[str, Any]] | None = None,
        measures: Mapping[str, dict[str, Any]] | None = None,
        due: Mapping[str, list[str]] | None = None,
        abouts: Mapping[str, dict[str, Any]] | None = None,
    ) -> Results:
        """The record of a run that ends now, on this machine."""
        order = {id: i for i, (id, _, _) in enumerate(requirements)}
        by_place = sorted((Cell(**c) for c in cells), key=lambda c: (order[c.requirement], c.implementation))
        names = ("bnconform", "numpy", "hypothesis", "pytest", "ml_dtypes")
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={"python": platform.python_version()} | {name: metadata.version(name) for name in names},
            machine=f"{platform.system()} {platform.machine()}, {sys.byteorder}-endian",
            profile=profile,
            seed=seed,
            implementations=dict(implementations),
            not_run=dict(not_run),
            notes=dict(notes),
            requirements={id: {"level": level, "statement": text} for id, level, text in requirements},
            cells=tuple(by_place),
            drawn=dict(drawn or {}),
            identities=dict(identities or {}),
            measures=dict(measures or {}),
            due=dict(due or {}),
            abouts=dict(abouts or {}),
        )

    def cell(self, requirement: str, implementation: str) -> Cell | None:
        """The cell of a requirement and an implementation, if there is one."""
        return next((c for c in self.cells if (c.requirement, c.implementation) == (requirement, implementation)), None)

    def as_data(self) -> dict[str, Any]:
        """The record as JSON data; infinities and NaN as strings, since JSON has none."""
        data: dict[str, Any] = _plain(asdict(self))
        return data

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        write_json({"schema": SCHEMA} | self.as_data(), path)


def write_json(data: Any, path: Path) -> None:
    """Write JSON data to a file, in a folder that is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read a record.

    Raises
    ------
    ResultsError
        The file cannot be read, is not JSON, has another schema, or is damaged.
    """
    data = read_json(path)
    found = data.pop("schema", None) if isinstance(data, dict) else None
    if found != SCHEMA:
        raise ResultsError(f"{path} has schema {found!r}; this version reads {SCHEMA!r}")
    return from_data(data, path)


def read_json(path: Path) -> Any:
    """The JSON data of a file.

    Raises
    ------
    ResultsError
        The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is not JSON: {error}") from error


def from_data(data: Any, path: Path) -> Results:
    """A record from the data of :meth:`Results.as_data`.

    Raises
    ------
    ResultsError
        The data is damaged; `path` says where it came from.
    """
    try:
        data = dict(data)
        cells = tuple(Cell(**_floats(cell)) for cell in data.pop("cells"))
        data["measures"] = {name: _measures(measures) for name, measures in data.get("measures", {}).items()}
        results = _whole(Results(**data, cells=cells))
        check(results)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ResultsError(f"{path} is damaged: {told}") from error
    return results


def _whole(results: Results) -> Results:
    """The record with a cell "not judged" for every verdict that it lacks: nothing missing reads as met."""
    have = {(cell.requirement, cell.implementation) for cell in results.cells}
    due = ((id, name) for name, ids in results.due.items() for id in ids)
    missing = tuple(Cell(*place, "not judged", UNJUDGED) for place in due if place not in have)
    return replace(results, cells=results.cells + missing) if missing else results


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _floats(cell: dict[str, Any]) -> dict[str, Any]:
    cell = cell | {name: float(cell[name]) for name in ("worst_ratio", "worst_ulp")}
    if finding := cell.get("finding"):
        numbers = ("got", "expected", "allowed", "ratio", "ulp")
        cell["finding"] = finding | {name: float(finding[name]) for name in numbers if finding[name] is not None}
    return cell


def _measures(measures: dict[str, Any]) -> dict[str, Any]:
    numbers = ("worst", "deviations", "allowed")
    points = [{key: _numbers(item) if key in numbers else item for key, item in p.items()} for p in measures["points"]]
    return measures | {"points": points}


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float(value) if value in ("inf", "-inf", "nan") else value
