"""Whether data that reads like a record is one: of the right types, and whole."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from bnconform.cases.case_file import CaseFileError, from_json
from bnconform.cases.fixed_cases import Handed
from bnconform_adapters.claims import Parameters
from bnconform_adapters.contract import DTYPES
from bnconform_reference.dialect import Dialect

if TYPE_CHECKING:
    from bnconform_reports.records import Cell, Results

TEXTS = ("requirement", "implementation", "verdict", "reason", "worst_case", "grade", "again", "script", "traceback")
RANKS = (2, 3, 4, 5)
COUNTS = ("cases", "mistrusted", "elements", "unbounded", "overflowing", "usual")


def check(results: Results) -> None:
    """Raise ValueError, with what is wrong, unless every part of a record is what it should be."""
    for name in ("created", "machine", "profile"):
        _is(getattr(results, name), str, name)
    _is(results.seed, int, "seed")
    _mapping(results.versions, str, "versions")
    _mapping(results.implementations, dict, "implementations")
    for name, versions in results.implementations.items():
        _mapping(versions, str, f"versions of {name}")
    _mapping(results.not_run, str, "not_run")
    _mapping(results.notes, str, "notes")
    _mapping(results.drawn, dict, "drawn")
    _mapping(results.requirements, dict, "requirements")
    for id, about in results.requirements.items():
        _has(about, {"level": str, "statement": str}, f"requirement {id}")
    _mapping(results.identities, dict, "identities")
    for name, identity in results.identities.items():
        _identity(identity, f"identity of {name}")
    _mapping(results.due, list, "due")
    for name, ids in results.due.items():
        if name not in results.implementations or not set(ids) <= set(results.requirements):
            raise ValueError(f"due of {name} names what the record does not list")
    _mapping(results.abouts, dict, "abouts")
    for name, about in results.abouts.items():
        _has(about, {"claims": dict, "plan": dict, "remarks": list, "what": str}, f"about of {name}")
    _mapping(results.measures, dict, "measures")
    for name, measures in results.measures.items():
        _measures(measures, f"measures of {name}")
    seen = set()
    for cell in results.cells:
        place = (cell.requirement, cell.implementation)
        _cell(cell, results)
        if place in seen:
            raise ValueError(f"two cells for {' and '.join(place)}")
        seen.add(place)


def _cell(cell: Cell, results: Results) -> None:
    for name in TEXTS:
        _is(getattr(cell, name), str, f"{name} of a cell")
    from bnconform_reports.records import VERDICTS  # which reads records, and so needs this module

    where = f"cell {cell.requirement} of {cell.implementation}"
    for name in COUNTS:
        _is(getattr(cell, name), int, f"{name} of {where}")
    if cell.verdict not in VERDICTS:
        raise ValueError(f"verdict {cell.verdict!r} in {where}")
    if cell.requirement not in results.requirements or cell.implementation not in results.implementations:
        raise ValueError(f"{where} names what the record does not list")
    if cell.finding is not None:
        _has(cell.finding, {"quantity": str, "problem": str}, f"finding of {where}")
        if not isinstance(cell.finding.get("index"), list | tuple | None):
            raise ValueError(f"index of the finding of {where}")
        for name in ("call", "marks"):
            _texts(cell.finding.get(name, ()), f"{name} of the finding of {where}")
        _is(cell.finding.get("mode", ""), str, f"mode of the finding of {where}")
    if cell.witness is not None:
        try:
            from_json(cell.witness)
        except CaseFileError as error:
            raise ValueError(f"{where}: {error}") from error
    if cell.known is not None:
        _mapping(cell.known, str, f"known of {where}")
        _has(cell.known, {"kind": str, "reason": str, "versions": str}, f"known of {where}")


def _identity(identity: dict[str, Any], what: str) -> None:
    _has(identity, {"answers": list, "dialect": dict, "decided": bool}, what)
    for answer in identity["answers"]:
        _is(answer, dict, f"an answer in {what}")
        _has(answer, dict.fromkeys(("field", "value", "word", "claimed", "evidence"), str), f"an answer in {what}")
    hints = get_type_hints(Dialect)
    if set(identity["dialect"]) != set(hints):
        raise ValueError(f"dialect of {what} has other fields than {', '.join(hints)}")
    for name, hint in hints.items():
        value = identity["dialect"][name]
        if value not in get_args(hint) if get_args(hint) else not isinstance(value, hint):
            raise ValueError(f"{name} of {what} is {value!r}")


def _measures(measures: dict[str, Any], what: str) -> None:
    _has(measures, {"dtype": str, "points": list}, what)
    if "handed" in measures:
        _handed(measures["handed"], f"handed of {what}")
    for point in measures["points"]:
        _is(point, dict, f"a point in {what}")
        _has(point, {"kind": str, "at": float, "worst": dict}, f"a point in {what}")
        _mapping(point["worst"], dict, f"worst in {what}")
        for worst in point["worst"].values():
            for name in ("ulp", "ratio", "allowed"):
                _is(worst[name], float, f"{name} in {what}")
        lists = [point.get(name, {}) for name in ("deviations", "allowed")]
        if {name: len(lists[0][name]) for name in lists[0]} != {name: len(lists[1][name]) for name in lists[1]}:
            raise ValueError(f"deviations and allowed in {what} do not go together")
        for values in lists:
            _mapping(values, list, f"deviations in {what}")
            for numbers in values.values():
                for number in numbers:
                    _is(number, float, f"a deviation in {what}")


def _handed(handed: dict[str, Any], what: str) -> None:
    """What a case can be made of, and no larger one than an implementation is handed."""
    _is(handed, dict, what)
    kinds = {"dtype": str, "rank": int, "parameters": str, "gradients": bool}
    _has(handed, kinds | dict.fromkeys(("eps", "momentum", "initial_mean", "initial_variance"), float), what)
    allowed = {"dtype": tuple(DTYPES), "rank": RANKS, "parameters": get_args(Parameters)}
    if set(handed) != {field.name for field in fields(Handed)}:
        raise ValueError(f"{what} has other fields than a case is made of")
    for name, values in allowed.items():
        if handed[name] not in values:
            raise ValueError(f"{name} in {what} is {handed[name]!r}")


def _has(value: dict[str, Any], kinds: dict[str, type], what: str) -> None:
    for name, kind in kinds.items():
        _is(value.get(name), kind, f"{name} of {what}")


def _mapping(value: object, kind: type, what: str) -> None:
    _is(value, dict, what)
    assert isinstance(value, dict)
    for key, item in value.items():
        _is(item, kind, f"{key} in {what}")


def _texts(value: object, what: str) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{what} is no list of texts")


def _is(value: object, kind: type, what: str) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{what} is not {kind.__name__}")
