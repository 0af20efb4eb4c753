"""Check the data of a record: every part has the right type, and nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from sys import float_info
from typing import Any, TypeAlias, get_args, get_type_hints

from bnconform.cases.case_file import CaseFileError, from_json
from bnconform.cases.fixed_cases import Handed
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.claims import Layout, Parameters
from bnconform_adapters.contract import DTYPES
from bnconform_reference.dialect import Dialect
from bnconform_reports.records.schema import VERDICTS, Cell, Results

Shape: TypeAlias = Any
"""The form that a value must have.

A shape is a type or a tuple of types; a function that returns True for a right value; [shape], a list of such values;
{str: shape}, a mapping of names to such values; or a dict of the names that must be there and their shapes. A name that
ends in "?" may be absent.
"""
MOST = float_info.max
"""Largest number in a record of experiments; None stands for a number that is not finite."""


def require(value: Any, shape: Shape, what: str) -> None:
    """Raise ValueError, with the name of the wrong part, unless a value has a shape."""
    if isinstance(shape, list):
        require(value, list, what)
        for number, item in enumerate(value, 1):
            require(item, shape[0], f"entry {number} of {what}")
    elif isinstance(shape, dict):
        require(value, dict, what)
        for name, part in ((name, shape[str]) for name in value) if str in shape else shape.items():
            key = name.removesuffix("?")
            if key in value:
                require(value[key], part, f"{key} of {what}")
            elif key == name:
                raise ValueError(f"{what} has no {key}")
    elif isinstance(shape, type | tuple):
        if not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
            names = [kind.__name__ for kind in (shape if isinstance(shape, tuple) else (shape,))]
            raise ValueError(f"{what} is not {' or '.join(names)}")
    elif not shape(value):
        raise ValueError(f"{what} is {value!r}")


def one_of(values: Iterable[Any]) -> Callable[[Any], bool]:
    """The shape of one value among these, of the same type."""
    return lambda value: any(type(value) is type(other) and value == other for other in values)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def _finite_or_none(value: Any) -> bool:
    return value is None or _finite(value)


# Shapes of the parts of a record, and of the whole: RESULTS and BENEFITS.
TEXTS = ("requirement", "implementation", "reason", "worst_case", "grade", "again", "script", "traceback")
COUNTS = ("cases", "mistrusted", "elements", "unbounded", "overflowing", "usual")
CELL = dict.fromkeys(TEXTS, str) | {"verdict": one_of(VERDICTS)} | dict.fromkeys(COUNTS, int)
TEXT_LISTS = {"call?": [str], "marks?": [str]}
FINDING = {"quantity": str, "problem": str, "index?": (list, type(None)), "mode?": str} | TEXT_LISTS
KNOWN = {"kind": str, "reason": str, "versions": str}
DIALECT = {name: one_of(get_args(hint)) if get_args(hint) else hint for name, hint in get_type_hints(Dialect).items()}
IDENTITY = {
    "answers": [dict.fromkeys(("field", "value", "word", "claimed", "evidence"), str)],
    "dialect": DIALECT,
    "decided": bool,
}
HANDED = {
    "dtype": one_of(DTYPES),
    "rank": one_of(RANKS),
    "parameters": one_of(get_args(Parameters)),
    "layout": one_of(get_args(Layout)),
    "gradients": bool,
} | dict.fromkeys(("eps", "momentum", "initial_mean", "initial_variance"), float)
POINT = {
    "kind": str,
    "at": float,
    "worst": {str: dict.fromkeys(("ulp", "ratio", "allowed"), float)},
    "deviations?": {str: [float]},
    "allowed?": {str: [float]},
}
RESULTS = {
    **dict.fromkeys(("created", "machine", "profile"), str),
    "seed": int,
    **{name: {str: str} for name in ("versions", "not_run", "notes")},
    "implementations": {str: {str: str}},
    "drawn": {str: dict},
    "requirements": {str: {"level": str, "statement": str}},
    "identities": {str: IDENTITY},
    "due": {str: list},
    "abouts": {str: {"claims": dict, "plan": dict, "remarks": list, "what": str}},
    "measures": {str: {"dtype": str, "points": [POINT], "handed?": HANDED}},
}
INTERVAL = dict.fromkeys(("mean", "low", "high"), _finite_or_none)
LINE = {"label": str, "subject": str, "x": [_finite], "y": [INTERVAL]}
PANEL = {**dict.fromkeys(("title", "x", "y"), str), **dict.fromkeys(("x_log", "y_log"), bool), "lines": [LINE]}
FACT = {**dict.fromkeys(("subject", "what", "claimed", "verdict"), str), "value": INTERVAL}
EXPERIMENT = {
    **dict.fromkeys(("id", "title", "claim", "done", "limits"), str),
    "sources": [str],
    "panels": [PANEL],
    "facts": [FACT],
}
BENEFITS = {"subjects": [str], "seeds": int, "steps": int, "experiments": [EXPERIMENT]}


def check(results: Results) -> None:
    """Raise ValueError, with what is wrong, unless every part of the record of a run is right."""
    require(vars(results), RESULTS, "the record")
    for name, ids in results.due.items():
        if name not in results.implementations or not set(ids) <= set(results.requirements):
            raise ValueError(f"due of {name} names what the record does not list")
    for name, identity in results.identities.items():
        _only(identity["dialect"], DIALECT, f"dialect of {name}")
    for name, measures in results.measures.items():
        _only(measures.get("handed", HANDED), [field.name for field in fields(Handed)], f"handed of {name}")
        for point in measures["points"]:
            first, second = (point.get(part, {}) for part in ("deviations", "allowed"))
            if {key: len(first[key]) for key in first} != {key: len(second[key]) for key in second}:
                raise ValueError(f"deviations and allowed errors of {name} do not go together")
    seen = set()
    for cell in results.cells:
        _check_cell(cell, results)
        if cell.place in seen:
            raise ValueError(f"two cells for {' and '.join(cell.place)}")
        seen.add(cell.place)


def _check_cell(cell: Cell, results: Results) -> None:
    where = f"cell {cell.requirement} of {cell.implementation}"
    require(vars(cell), CELL, where)
    if cell.requirement not in results.requirements or cell.implementation not in results.implementations:
        raise ValueError(f"{where} names what the record does not list")
    if cell.finding is not None:
        require(cell.finding, FINDING, f"the finding of {where}")
    if cell.witness is not None:
        try:
            from_json(cell.witness)
        except CaseFileError as error:
            raise ValueError(f"{where}: {error}") from error
    if cell.known is not None:
        require(cell.known, {str: str}, f"known of {where}")
        require(cell.known, KNOWN, f"known of {where}")


def _only(data: dict[str, Any], names: Iterable[str], what: str) -> None:
    if set(data) != set(names):
        raise ValueError(f"{what} has other fields than {', '.join(names)}")


def check_benefits(data: dict[str, Any]) -> None:
    """Raise ValueError, with what is wrong, unless every part of a record of experiments is right."""
    require(data, BENEFITS, "the record")
    for experiment in data["experiments"]:
        if not experiment["id"].isalnum():
            raise ValueError(f"id {experiment['id']!r} of an experiment")
        for line in (line for panel in experiment["panels"] for line in panel["lines"]):
            if len(line["x"]) != len(line["y"]):
                raise ValueError(
                    f"a line of {experiment['id']} has {len(line['x'])} places and {len(line['y'])} values"
                )
