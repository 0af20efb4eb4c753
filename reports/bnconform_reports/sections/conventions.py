"""Conventions side by side, and what to change when a model moves from one implementation to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from bnconform.identify.as_text import steps
from bnconform.identify.defaults import AXIS
from bnconform_reference.dialect import Dialect
from bnconform_reports.records.merging import Merged

NOT_AS_CLAIMED = ("differs", "known")
"""Words that mark an answer other than the implementation claims."""
NO_ANSWER = "no answer"
WORDS = {
    "raises": "raises",
    "zero_variance": "gives bias",
    "identity": "hands x on",
    "keeps": "keeps the statistics",
}
"""Words for how a dialect handles one value per channel, and an empty batch."""
_FEW = 3


@dataclass(frozen=True)
class Named:
    """An implementation that gives an answer; the mark is not empty if its claims say otherwise."""

    name: str
    mark: str
    evidence: str


Answers: TypeAlias = dict[str, list[Named]]
"""The implementations by their answers to one question, the commonest answer first."""


def conventions(found: Merged) -> dict[str, Answers]:
    """The answers to every question that was measured; questions on which implementations disagree come first."""
    fields: dict[str, Answers] = {}
    for column in found.columns:
        for answer in found.identities.get(column.label, {}).get("answers", ()):
            mark = answer["word"] if answer["word"] in NOT_AS_CLAIMED else ""
            named = Named(column.label, mark, answer["evidence"])
            fields.setdefault(answer["field"], {}).setdefault(answer["value"] or NO_ANSWER, []).append(named)
    for field, answers in fields.items():
        fields[field] = dict(sorted(answers.items(), key=lambda item: (item[0] == NO_ANSWER, -len(item[1]))))
    return dict(sorted(fields.items(), key=lambda item: len(set(item[1]) - {NO_ANSWER}) < 2))


@dataclass(frozen=True)
class Kind:
    """Implementations of one dialect and the same defaults.

    Attributes
    ----------
    names : tuple of str
    dialect : Dialect or None
        None if it was not found out.
    default_eps, default_momentum : float or None
    axis : str
        The axis of the channels; empty if it is the caller's choice, or was not asked.
    """

    names: tuple[str, ...]
    dialect: Dialect | None
    default_eps: float | None
    default_momentum: float | None
    axis: str = ""

    @property
    def brief(self) -> str:
        """Its names, or the first one and a number if they are many."""
        if len(self.names) <= _FEW:
            return ", ".join(self.names)
        return f"{self.names[0]} and {len(self.names) - 1} more"


@dataclass(frozen=True)
class Move:
    """The changes from one kind to another, a line each."""

    source: Kind
    target: Kind
    steps: tuple[str, ...]


def kinds(found: Merged) -> list[Kind]:
    """Group the implementations whose dialect was measured."""
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for column in found.columns:
        if identity := found.identities.get(column.label):
            dialect = Dialect(**identity["dialect"]) if identity["decided"] else None
            defaults = [_default(identity, f"default {what}") for what in ("eps", "momentum")]
            axis = next((answer["value"] for answer in identity["answers"] if answer["field"] == AXIS), "")
            grouped.setdefault((dialect, *defaults, axis), []).append(column.label)
    return [Kind(tuple(names), *key) for key, names in grouped.items()]


def moves(found: Merged) -> list[Move]:
    """Every ordered pair of kinds; within a kind nothing changes."""
    of = kinds(found)
    return [Move(a, b, tuple(_steps(a, b))) for a in of for b in of if a is not b]


def _default(identity: dict[str, Any], field: str) -> float | None:
    for answer in identity["answers"]:
        if answer["field"] == field and answer["word"] in ("documented", "read"):
            try:
                return float(answer["value"])
            except ValueError:
                return None
    return None


def _steps(source: Kind, target: Kind) -> Iterator[str]:
    if source.dialect is None or target.dialect is None:
        unknown = source if source.dialect is None else target
        yield f"not known: the dialect of {', '.join(unknown.names)} was not found out"
        return
    a, b = source.dialect, target.dialect
    for step in steps(a, b, target.default_eps):
        if step == "momentum = 1 - momentum" and source.default_momentum is not None:
            step += f", so {source.default_momentum:g} becomes {1 - source.default_momentum:g}"
        yield step
    if source.default_momentum is not None and target.default_momentum is not None:
        same_sense = a.momentum_weighs == b.momentum_weighs
        carried = source.default_momentum if same_sense else 1 - source.default_momentum
        if abs(carried - target.default_momentum) > 1e-9:
            yield f"give momentum, the default is {target.default_momentum:g}"
    if source.axis and target.axis and source.axis != target.axis:
        yield f"channels: {source.axis}, then {target.axis}; transpose what goes in, and the kernels beside"
    if (a.initial_mean, a.initial_variance) != (b.initial_mean, b.initial_variance):
        yield "the initial statistics differ: pass steps to convert_statistics"
    for what, field in (("one value per channel", "one_value"), ("an empty batch", "empty_batch")):
        before, after = getattr(a, field), getattr(b, field)
        if before != after:
            yield f"training on {what}: {WORDS[before]}, then {WORDS[after]}"
