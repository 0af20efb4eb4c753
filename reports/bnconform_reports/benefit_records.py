"""The record of the experiments on batch norm at work: `benefits.json`, as `bnconform benefits` writes it."""

from __future__ import annotations

from pathlib import Path
from sys import float_info
from typing import Any

from bnconform.training.experiments.facts import SCHEMA
from bnconform_reports.records import ResultsError, read_json

MOST = float_info.max
"""Of a number; None stands for one that is not finite."""
_TEXTS = ("id", "title", "claim", "done", "limits")


def is_benefits(path: Path) -> bool:
    """Whether a file is such a record, sound or not.

    Raises
    ------
    ResultsError
        The file cannot be read, or is not JSON.
    """
    data = read_json(path)
    return isinstance(data, dict) and data.get("schema") == SCHEMA


def read_benefits(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    ResultsError
        The file cannot be read, has another schema, or is damaged.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ResultsError(f"{path} is no record of bnconform benefits; this version reads {SCHEMA!r}")
    try:
        check(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ResultsError(f"{path} is damaged: {told}") from error
    return data


def check(data: dict[str, Any]) -> None:
    """Raise ValueError, with what is wrong, unless every part of a record is what it should be."""
    _each(data["subjects"], str, "subjects")
    for name in ("seeds", "steps"):
        _is(data[name], int, name)
    for experiment in data["experiments"]:
        for name in _TEXTS:
            _is(experiment[name], str, f"{name} of an experiment")
        where = experiment["id"]
        if not where.isalnum():
            raise ValueError(f"id {where!r} of an experiment")
        _each(experiment["sources"], str, f"sources of {where}")
        for panel in experiment["panels"]:
            for name in ("title", "x", "y"):
                _is(panel[name], str, f"{name} of a panel of {where}")
            for name in ("x_log", "y_log"):
                _is(panel[name], bool, f"{name} of a panel of {where}")
            for line in panel["lines"]:
                _is(line["label"], str, f"a label in {where}")
                _is(line["subject"], str, f"a subject in {where}")
                _each(line["x"], float, f"places in {where}")
                if len(line["x"]) != len(line["y"]):
                    raise ValueError(f"a line of {where} has {len(line['x'])} places and {len(line['y'])} values")
                for value in line["y"]:
                    _interval(value, where)
        for fact in experiment["facts"]:
            for name in ("subject", "what", "claimed", "verdict"):
                _is(fact[name], str, f"{name} of a fact of {where}")
            _interval(fact["value"], where)


def _interval(value: dict[str, Any], where: str) -> None:
    for name in ("mean", "low", "high"):
        if value[name] is not None:
            _is(value[name], float, f"{name} in {where}")


def _each(values: Any, kind: type, what: str) -> None:
    _is(values, list, what)
    for value in values:
        _is(value, kind, what)


def _is(value: object, kind: type, what: str) -> None:
    right = isinstance(value, int | float) and abs(value) <= MOST if kind is float else isinstance(value, kind)
    if not right or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{what}: {value!r} is not {kind.__name__}")
