"""The cases in which curves are at their worst: what was handed over, and the command that measures it again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from bnconform.cases.fixed_cases import AXES, Handed, Kind
from bnconform.running.measurement_text import PlaceError, describe_fixed, place
from bnconform_reports.curves import Curves, error_text
from bnconform_reports.together import Together

FEW = 3
"""Of the implementations that share a curve, those whose command is shown."""


@dataclass(frozen=True)
class Met:
    """A curve that is at its worst in a case.

    Attributes
    ----------
    names : str
    what : str
        Quantity, and the error.
    again : tuple of str
        Commands that measure it again.
    """

    names: str
    what: str
    again: tuple[str, ...]


@dataclass(frozen=True)
class WorstCase:
    """One fixed case and the curves that are at their worst in it, the largest error first.

    Attributes
    ----------
    anchor : str
        Its id on the page.
    title : str
    case : str
        As text; empty where the record does not say what was handed over.
    met : tuple of Met
    """

    anchor: str
    title: str
    case: str
    met: tuple[Met, ...]


def anchor_of(found: Together, label: str, kind: str, at: float) -> str:
    """The id of the case that an implementation was handed: kind, place, and a number where numbers differ there."""
    own, variants = found.measures[label], list[Any]()
    for measures in found.measures.values():
        if measures["dtype"] == own["dtype"] and (handed := measures.get("handed")) not in variants:
            variants.append(handed)
    number = variants.index(own.get("handed")) + 1
    return re.sub(r"[^A-Za-z0-9.-]+", "", f"case-{kind}-{at:g}") + (f"-{number}" if number > 1 else "")


def worst_cases(found: Together, shown: list[Curves]) -> list[WorstCase]:
    """The cases that curves of one kind are at their worst in, in the order of their places."""
    gathered: dict[tuple[float, str], list[tuple[float, Met]]] = {}
    handed: dict[str, dict[str, Any]] = {}
    for of in shown:
        for curve in of.curves:
            ratio, at = curve.worst
            if ratio == 0:
                continue
            anchor = anchor_of(found, curve.names[0], of.kind, at)
            handed[anchor] = found.measures[curve.names[0]].get("handed", {})
            again = tuple(_again(found, name, of.kind, at) for name in curve.names[:FEW])
            met = Met(", ".join(curve.names), f"{of.title}: {error_text(ratio)}", again)
            gathered.setdefault((at, anchor), []).append((ratio, met))
    kind = shown[0].kind if shown else "length"
    return [
        WorstCase(
            anchor,
            f"{AXES[kind]} {at:g}" + _differing(handed[anchor], list(handed.values())),
            _text(kind, at, handed[anchor]),
            _together(one for _, one in sorted(met, key=lambda pair: -pair[0])),
        )
        for (at, anchor), met in sorted(gathered.items(), key=lambda item: item[0])
    ]


def _together(met: Iterable[Met]) -> tuple[Met, ...]:
    """Quantities of the same implementations as one, since one command measures them all."""
    by_names: dict[str, Met] = {}
    for one in met:
        first = by_names.get(one.names)
        by_names[one.names] = one if first is None else replace(first, what=f"{first.what}; {one.what}")
    return tuple(by_names.values())


def _again(found: Together, label: str, kind: str, at: float) -> str:
    name = next(column.name for column in found.columns if column.label == label)
    return f"bnconform measure {quote(name)} --kind {kind} --at {at:g}"


def _differing(handed: dict[str, Any], of_all: list[dict[str, Any]]) -> str:
    """What sets this case apart from others of its place, as in ", eps 0.001"."""
    told = [f"{name.replace('_', ' ')} {value}" for name, value in handed.items() if _several(name, of_all)]
    return "".join(f", {text}" for text in told)


def _several(name: str, of_all: list[dict[str, Any]]) -> bool:
    return len({repr(handed.get(name)) for handed in of_all}) > 1


def _text(kind: Kind, at: float, handed: dict[str, Any]) -> str:
    """The case as text; none of what nobody could have measured, which a record may name."""
    try:
        return "\n".join(describe_fixed(kind, place(kind, at), Handed(**handed))) if handed else ""
    except PlaceError:
        return ""
