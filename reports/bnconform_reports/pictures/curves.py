"""Errors against conditioning, length and steps, as numbers: one curve for implementations of equal errors."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bnconform.cases.fixed_cases import AXES, KINDS, Kind
from bnconform_reports.records.merging import Merged

SHOWN: dict[Kind, dict[str, str]] = {
    "conditioning": {"y": "y", "running_var": "running variance", "dx": "dx"},
    "length": {"y": "y", "running_var": "running variance", "dx": "dx"},
    "drift": {"running_mean": "running mean", "running_var": "running variance"},
}
"""Quantities that have a chart, and their titles."""


@dataclass(frozen=True)
class Curve:
    """Implementations of equal errors.

    Attributes
    ----------
    names : tuple of str
    errors : tuple of (float, float, float)
        The place, the worst error in ULP, and the same as a multiple of the allowed one.
    """

    names: tuple[str, ...]
    errors: tuple[tuple[float, float, float], ...]

    @property
    def worst(self) -> tuple[float, float]:
        """The largest error as a multiple of the allowed one, and its place."""
        at, _, ratio = max(self.errors, key=lambda error: error[2])
        return ratio, at


@dataclass(frozen=True)
class Curves:
    """One quantity over the places of one kind.

    Attributes
    ----------
    kind : str
    title, dtype : str
    curves : tuple of Curve
        Curves that cross the allowed error come last, so that they are drawn over the others.
    allowed : dict of float to float
        Place to the allowed error in ULP.
    """

    kind: Kind
    title: str
    dtype: str
    curves: tuple[Curve, ...]
    allowed: dict[float, float]

    @property
    def places(self) -> list[float]:
        """The places of all points."""
        return sorted(self.allowed)

    @property
    def axis(self) -> str:
        """The name of the axis of places."""
        return AXES[self.kind]


def all_curves(found: Merged) -> dict[Kind, list[Curves]]:
    """The curves of each kind and quantity that was measured, in the commonest dtype."""
    dtypes = Counter(measures["dtype"] for measures in found.measures.values() if measures["points"])
    dtype = dtypes.most_common(1)[0][0] if dtypes else ""
    drawn = {kind: [_curves(found, kind, name, dtype) for name in SHOWN[kind]] for kind in KINDS}
    return {kind: some for kind, all in drawn.items() if (some := [of for of in all if of.curves])}


def _curves(found: Merged, kind: Kind, name: str, dtype: str) -> Curves:
    grouped: dict[tuple[tuple[float, float, float], ...], list[str]] = {}
    allowed: dict[float, float] = {}
    for column in found.columns:
        measures = found.measures.get(column.label, {"dtype": "", "points": ()})
        errors = []
        for point in measures["points"] if measures["dtype"] == dtype else ():
            if point["kind"] == kind and name in point["worst"]:
                worst = point["worst"][name]
                errors.append((point["at"], worst["ulp"], worst["ratio"]))
                allowed[point["at"]] = max(allowed.get(point["at"], 0.0), worst["allowed"])
        if errors:
            grouped.setdefault(tuple(errors), []).append(column.label)
    drawn = [Curve(tuple(names), errors) for errors, names in grouped.items()]
    return Curves(kind, SHOWN[kind][name], dtype, tuple(sorted(drawn, key=lambda curve: curve.worst[0] > 1)), allowed)


def case_anchor(found: Merged, label: str, kind: str, at: float) -> str:
    """The page's id of the case that an implementation was given: kind, place, and a number if cases differ there."""
    own, variants = found.measures[label], list[Any]()
    for measures in found.measures.values():
        if measures["dtype"] == own["dtype"] and (handed := measures.get("handed")) not in variants:
            variants.append(handed)
    number = variants.index(own.get("handed")) + 1
    return re.sub(r"[^A-Za-z0-9.-]+", "", f"case-{kind}-{at:g}") + (f"-{number}" if number > 1 else "")


def error_text(ratio: float) -> str:
    """The largest error of a curve in words."""
    return f"{ratio:.3g} times the allowed error" if math.isfinite(ratio) else "not a finite number"


def place_text(place: float) -> str:
    """A place in few characters."""
    return f"{place:.0e}".replace("e+0", "e") if place >= 1e4 else f"{place:g}"
