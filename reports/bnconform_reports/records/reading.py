"""Read records: of one run, of several, and of the experiments that `bnconform benefits` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bnconform.training.experiments.facts import SCHEMA as BENEFITS_SCHEMA
from bnconform_reports.records.checking import check, check_benefits
from bnconform_reports.records.schema import RUNS_SCHEMA, SCHEMA, Cell, Results, ResultsError, Runs

UNJUDGED = "the record has no verdict on this law"
MARKS = ("schema", "id")
"""Fields of a file or of an entry that are no part of a run."""


def read(path: Path) -> Results:
    """Read the record of one run.

    Raises
    ------
    ResultsError
        The file cannot be read, is not JSON, has another schema, or is damaged.
    """
    return from_data(_content(path, SCHEMA), path)


def read_runs(path: Path) -> Runs:
    """Read a record of one run or of several.

    Raises
    ------
    ResultsError
        As :func:`read` does.
    """
    data = _content(path, SCHEMA, RUNS_SCHEMA)
    runs = [data] if data["schema"] == SCHEMA else data.get("runs")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise ResultsError(f"{path} is damaged: runs is not a list of records")
    return Runs.of(from_data(run, path) for run in runs)


def is_benefits(path: Path) -> bool:
    """Return True if a file is a record of experiments, damaged or not.

    Raises
    ------
    ResultsError
        The file cannot be read, or is not JSON.
    """
    return bool(_schema(_read_json(path)) == BENEFITS_SCHEMA)


def read_benefits(path: Path) -> dict[str, Any]:
    """Read a record of experiments.

    Raises
    ------
    ResultsError
        As :func:`read` does.
    """
    data = _content(path, BENEFITS_SCHEMA)
    with _damage_of(path):
        check_benefits(data)
    return data


def from_data(data: dict[str, Any], path: Path) -> Results:
    """Make a record from the data of :meth:`Results.as_data`.

    Raises
    ------
    ResultsError
        The data is damaged; `path` says where it came from.
    """
    with _damage_of(path):
        data = {name: value for name, value in data.items() if name not in MARKS}
        cells = tuple(Cell(**_floats(cell)) for cell in data.pop("cells"))
        data["measures"] = {name: _measures(measures) for name, measures in data.get("measures", {}).items()}
        results = _whole(Results(**data, cells=cells))
        check(results)
    return results


def _content(path: Path, *schemas: str) -> dict[str, Any]:
    """The data of a file of one of these schemas."""
    data = _read_json(path)
    if (found := _schema(data)) not in schemas:
        raise ResultsError(f"{path} has schema {found!r}; this version reads {' and '.join(map(repr, schemas))}")
    return dict(data)


def _schema(data: Any) -> Any:
    return data.get("schema") if isinstance(data, dict) else None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is not JSON: {error}") from error


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Turn what wrong data raises into one line that names the file."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ResultsError(f"{path} is damaged: {why}") from error


def _whole(results: Results) -> Results:
    """Add a cell "not judged" for every verdict that is missing: nothing missing reads as met."""
    have = {cell.place for cell in results.cells}
    due = ((id, name) for name, ids in results.due.items() for id in ids)
    missing = tuple(Cell(*place, "not judged", UNJUDGED) for place in due if place not in have)
    return replace(results, cells=results.cells + missing) if missing else results


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
