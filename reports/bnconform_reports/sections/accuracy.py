"""Accuracy side by side: worst errors against conditioning and length, and the largest difference of every pair.

All numbers come from the deviations in a record; nothing here calls an implementation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from bnconform_reports.records.merging import Merged

Deviations: TypeAlias = tuple[list[float], list[float]]
"""Deviations of one quantity, and the allowed error of each."""
ORDINARY = 10.0
"""Up to this |mean| / sd, data is of the kind that most layers see."""
GROUPS = {"y": ("y",), "statistics": ("running_mean", "running_var"), "gradients": ("dx", "dweight", "dbias")}
"""Names of the groups that are compared, and the quantities in them."""


@dataclass(frozen=True)
class Error:
    """An error as a multiple of the allowed one, in ULP, and its place: |mean| / sd, or values per channel."""

    ratio: float
    ulp: float
    at: float


ByGroup: TypeAlias = dict[str, Error | None]
"""The worst error of each group; None where nothing was compared."""


@dataclass(frozen=True)
class Accuracy:
    """The worst errors of one implementation.

    Attributes
    ----------
    name, dtype : str
    ordinary, hard, length : dict of str to Error or None
        Over |mean| / sd up to :data:`ORDINARY`, above that, and over lengths.
    trouble : str
        Why a point has no numbers; empty if all have.
    """

    name: str
    dtype: str
    ordinary: ByGroup
    hard: ByGroup
    length: ByGroup
    trouble: str


@dataclass(frozen=True)
class Pair:
    """The largest differences of two implementations on the same cases, apart from their conventions.

    Attributes
    ----------
    a, b : str
    ordinary, hard : dict of str to Error or None
        The ratio is a multiple of the larger of their allowed errors.
    """

    a: str
    b: str
    ordinary: ByGroup
    hard: ByGroup

    @property
    def worst(self) -> float | None:
        """The largest difference on any data, as a multiple of the allowed error."""
        errors = (*self.ordinary.values(), *self.hard.values())
        return max((error.ratio for error in errors if error is not None), default=None)


def accuracies(found: Merged) -> list[Accuracy]:
    """The worst errors of every implementation that was measured, in the order of the columns."""
    return [_accuracy(label, found.measures[label]) for label in _measured(found)]


def pairs(found: Merged) -> list[Pair]:
    """Every unordered pair of implementations that were measured in one dtype, the largest difference first."""
    compared = [
        _pair(a, b, found.measures[a], found.measures[b])
        for a, b in combinations(_measured(found), 2)
        if found.measures[a]["dtype"] == found.measures[b]["dtype"]
    ]
    return sorted(compared, key=lambda pair: -1.0 if pair.worst is None else pair.worst, reverse=True)


def _measured(found: Merged) -> list[str]:
    return [column.label for column in found.columns if found.measures.get(column.label, {}).get("points")]


def _accuracy(name: str, measures: dict[str, Any]) -> Accuracy:
    points = measures["points"]
    conditioning = [point for point in points if point["kind"] == "conditioning"]
    return Accuracy(
        name,
        measures["dtype"],
        _by_group(_errors(point for point in conditioning if point["at"] <= ORDINARY)),
        _by_group(_errors(point for point in conditioning if point["at"] > ORDINARY)),
        _by_group(_errors(point for point in points if point["kind"] == "length")),
        next((str(point["error"]) for point in points if "error" in point), ""),
    )


def _errors(points: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Error]]:
    """The worst error of each quantity at each point."""
    for point in points:
        for name, worst in point["worst"].items():
            yield name, Error(worst["ratio"], worst["ulp"], point["at"])


def _by_group(errors: Iterable[tuple[str, Error]]) -> ByGroup:
    """The largest error of each group."""
    found = list(errors)
    return {
        group: max(
            (error for name, error in found if name in names),
            key=lambda error: (error.ratio, error.ulp),
            default=None,
        )
        for group, names in GROUPS.items()
    }


def _pair(a: str, b: str, of_a: dict[str, Any], of_b: dict[str, Any]) -> Pair:
    places = {(point["kind"], point["at"]): point for point in of_b["points"] if "deviations" in point}
    differences: list[tuple[str, Error]] = []
    for one in of_a["points"]:
        other = places.get((one["kind"], one["at"]), {"deviations": {}})
        shared = (name for name in one.get("deviations", {}) if name in other["deviations"])
        differences += [
            (name, _difference(_deviations(one, name), _deviations(other, name), one["at"])) for name in shared
        ]
    ordinary = _by_group((name, error) for name, error in differences if error.at <= ORDINARY)
    return Pair(a, b, ordinary, _by_group((name, error) for name, error in differences if error.at > ORDINARY))


def _deviations(point: dict[str, Any], name: str) -> Deviations:
    return point["deviations"][name], point["allowed"][name]


def _difference(one: Deviations, other: Deviations, at: float) -> Error:
    ratio = ulp = 0.0
    for a, b, allowed_a, allowed_b in zip(one[0], other[0], one[1], other[1], strict=False):
        gap = abs(a - b)
        if math.isnan(gap):  # one or both are not finite
            gap = 0.0 if not math.isfinite(a) and not math.isfinite(b) else math.inf
        allowed = max(allowed_a, allowed_b)
        ulp = max(ulp, gap)
        if gap and not math.isinf(allowed):
            ratio = max(ratio, gap / allowed if allowed else math.inf)
    return Error(ratio, ulp, at)
