"""The cases with the worst error of each curve: the input, and the command that measures it again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from bnconform.cases.fixed_cases import AXES, Handed, Kind
from bnconform.running.measurement_text import PlaceError, describe_fixed, place
from bnconform_reports.pictures.curves import Curves, case_anchor, error_text
from bnconform_reports.records.merging import Merged

FEW = 3
"""How many implementations that share a curve get their command shown."""


@dataclass(frozen=True)
class WorstError:
    """A curve whose worst error is in a case: its quantity and error, and the commands that measure it again."""

    names: str
    what: str
    again: tuple[str, ...]


@dataclass(frozen=True)
class WorstCase:
    """One fixed case, and the curves whose worst error it has, the largest error first.

    Attributes
    ----------
    anchor : str
        Its id on the page.
    title : str
    case : str
        The case as text; empty if the record does not say what the implementation was given.
    errors : tuple of WorstError
    """

    anchor: str
    title: str
    case: str
    errors: tuple[WorstError, ...]


def worst_cases(found: Merged, shown: list[Curves]) -> list[WorstCase]:
    """The cases with the worst errors of the curves of one kind, in the order of their places."""
    gathered: dict[tuple[float, str], list[tuple[float, WorstError]]] = {}
    given: dict[str, dict[str, Any]] = {}
    for of in shown:
        for curve in of.curves:
            ratio, at = curve.worst
            if ratio == 0:
                continue
            anchor = case_anchor(found, curve.names[0], of.kind, at)
            given[anchor] = found.measures[curve.names[0]].get("handed", {})
            again = tuple(_again(found, name, of.kind, at) for name in curve.names[:FEW])
            error = WorstError(", ".join(curve.names), f"{of.title}: {error_text(ratio)}", again)
            gathered.setdefault((at, anchor), []).append((ratio, error))
    kind = shown[0].kind if shown else "length"
    return [
        WorstCase(
            anchor,
            f"{AXES[kind]} {at:g}" + _differing(given[anchor], list(given.values())),
            _text(kind, at, given[anchor]),
            _by_implementations(one for _, one in sorted(errors, key=lambda pair: -pair[0])),
        )
        for (at, anchor), errors in sorted(gathered.items(), key=lambda item: item[0])
    ]


def _by_implementations(errors: Iterable[WorstError]) -> tuple[WorstError, ...]:
    """Combine the quantities of the same implementations, because one command measures them all."""
    by_names: dict[str, WorstError] = {}
    for one in errors:
        first = by_names.get(one.names)
        by_names[one.names] = one if first is None else replace(first, what=f"{first.what}; {one.what}")
    return tuple(by_names.values())


def _again(found: Merged, label: str, kind: str, at: float) -> str:
    name = next(column.name for column in found.columns if column.label == label)
    return f"bnconform measure {quote(name)} --kind {kind} --at {at:g}"


def _differing(handed: dict[str, Any], of_all: list[dict[str, Any]]) -> str:
    """How this case differs from others of its place, such as ", eps 0.001"."""
    differing = (name for name in handed if len({repr(other.get(name)) for other in of_all}) > 1)
    return "".join(f", {name.replace('_', ' ')} {handed[name]}" for name in differing)


def _text(kind: Kind, at: float, handed: dict[str, Any]) -> str:
    """The case as text; empty for a place that a record names and nobody could have measured."""
    try:
        return "\n".join(describe_fixed(kind, place(kind, at), Handed(**handed))) if handed else ""
    except PlaceError:
        return ""
