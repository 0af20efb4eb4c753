"""Implementations set side by side on the same numbers: errors against conditioning and length, and every pair.

All from the deviations that a record holds. Nothing here calls an implementation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from bnconform_reports.together import Together

Column: TypeAlias = tuple[list[float], list[float]]
"""Deviations of one quantity, and what is allowed of each."""
ORDINARY = 10.0
"""Up to this |mean| / sd, data is of the kind that most layers see."""
GROUPS = {"y": ("y",), "statistics": ("running_mean", "running_var"), "gradients": ("dx", "dweight", "dbias")}
"""What is compared, and the quantities in it."""


@dataclass(frozen=True)
class Error:
    """An error: as a multiple of the allowed one, in units in the last place, and where.

    Attributes
    ----------
    ratio, ulp : float
    at : float
        |mean| / sd, or values per channel.
    """

    ratio: float
    ulp: float
    at: float


@dataclass(frozen=True)
class Accuracy:
    """The worst errors of one implementation, by group.

    Attributes
    ----------
    name, dtype : str
    ordinary, hard, length : dict of str to Error or None
        Over |mean| / sd up to :data:`ORDINARY`, above that, and over lengths; None where nothing was compared.
    trouble : str
        Why a point has no numbers, if one has none.
    """

    name: str
    dtype: str
    ordinary: dict[str, Error | None]
    hard: dict[str, Error | None]
    length: dict[str, Error | None]
    trouble: str


@dataclass(frozen=True)
class Pair:
    """The largest difference of two implementations on the same cases, their conventions set aside.

    Attributes
    ----------
    a, b : str
    ordinary, hard : dict of str to Error or None
        By group; the ratio is of the larger of their allowed errors.
    """

    a: str
    b: str
    ordinary: dict[str, Error | None]
    hard: dict[str, Error | None]

    @property
    def usual(self) -> float | None:
        """The largest difference on ordinary data, as a multiple of the allowed error."""
        return _largest(self.ordinary.values())

    @property
    def worst(self) -> float | None:
        """The largest difference on any data, as a multiple of the allowed error."""
        return _largest([*self.ordinary.values(), *self.hard.values()])


def accuracies(found: Together) -> list[Accuracy]:
    """The worst errors of every implementation that was measured, in the order of the columns."""
    return [_accuracy(column.label, found.measures[column.label]) for column in _measured(found)]


def pairs(found: Together) -> list[Pair]:
    """Every unordered pair of implementations that were measured in one dtype, the largest difference first."""
    told = []
    for a, b in combinations([column.label for column in _measured(found)], 2):
        if found.measures[a]["dtype"] == found.measures[b]["dtype"]:
            told.append(_pair(a, b, found.measures[a], found.measures[b]))
    return sorted(told, key=lambda pair: -1.0 if pair.worst is None else pair.worst, reverse=True)


def _measured(found: Together) -> list[Any]:
    return [column for column in found.columns if found.measures.get(column.label, {}).get("points")]


def _accuracy(name: str, measures: dict[str, Any]) -> Accuracy:
    points = measures["points"]
    conditioning = [point for point in points if point["kind"] == "conditioning"]
    return Accuracy(
        name,
        measures["dtype"],
        _by_group([point for point in conditioning if point["at"] <= ORDINARY]),
        _by_group([point for point in conditioning if point["at"] > ORDINARY]),
        _by_group([point for point in points if point["kind"] == "length"]),
        next((str(point["error"]) for point in points if "error" in point), ""),
    )


def _by_group(points: Sequence[dict[str, Any]]) -> dict[str, Error | None]:
    found: dict[str, Error | None] = {}
    for group, names in GROUPS.items():
        errors = [
            Error(worst["ratio"], worst["ulp"], point["at"])
            for point in points
            for name, worst in point["worst"].items()
            if name in names
        ]
        found[group] = max(errors, key=lambda error: (error.ratio, error.ulp), default=None)
    return found


def _pair(a: str, b: str, of_a: dict[str, Any], of_b: dict[str, Any]) -> Pair:
    ordinary: dict[str, list[Error]] = {group: [] for group in GROUPS}
    hard: dict[str, list[Error]] = {group: [] for group in GROUPS}
    places = {(p["kind"], p["at"]): p for p in of_b["points"]}
    for one in of_a["points"]:
        other = places.get((one["kind"], one["at"]))
        if other is None or "deviations" not in one or "deviations" not in other:
            continue
        for group, names in GROUPS.items():
            for name in names:
                if name in one["deviations"] and name in other["deviations"]:
                    error = _difference(_column(one, name), _column(other, name), one["at"])
                    (ordinary if one["at"] <= ORDINARY else hard)[group].append(error)

    def largest(errors: dict[str, list[Error]]) -> dict[str, Error | None]:
        return {
            group: max(found, key=lambda error: (error.ratio, error.ulp), default=None)
            for group, found in errors.items()
        }

    return Pair(a, b, largest(ordinary), largest(hard))


def _column(point: dict[str, Any], name: str) -> Column:
    return point["deviations"][name], point["allowed"][name]


def _difference(one: Column, other: Column, at: float) -> Error:
    ratio = ulp = 0.0
    for a, b, allowed_a, allowed_b in zip(one[0], other[0], one[1], other[1], strict=False):
        gap = abs(a - b)
        if math.isnan(gap):  # both are not finite, or one is
            gap = 0.0 if not math.isfinite(a) and not math.isfinite(b) else math.inf
        allowed = max(allowed_a, allowed_b)
        ulp = max(ulp, gap)
        if gap and not math.isinf(allowed):
            ratio = max(ratio, gap / allowed if allowed else math.inf)
    return Error(ratio, ulp, at)


def _largest(errors: Iterable[Error | None]) -> float | None:
    return max((error.ratio for error in errors if error is not None), default=None)
