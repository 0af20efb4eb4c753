"""Errors against conditioning as lines: coordinates for a template, which draws them as SVG."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bnconform_reports.together import Together

SHOWN = {"y": "y", "running_var": "running variance", "dx": "dx"}
"""Quantities with a chart of their own."""
WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
_LEAST = 0.1
"""ULP; smaller errors lie on the lowest line."""
_DECADES = 2
"""Between two lines of the grid."""
INKS = 6
"""Colours for lines that cross what is allowed; further ones start again."""


@dataclass(frozen=True)
class Line:
    """One implementation; those of equal numbers share a line.

    Attributes
    ----------
    names : str
    points : str
        As SVG's polyline takes them.
    ink : int
        Number of its colour, from 1; 0 where every error is allowed.
    told : str
        The largest error as a multiple of the allowed one, and where.
    """

    names: str
    points: str
    ink: int
    told: str


@dataclass(frozen=True)
class Chart:
    """One quantity: the lines, and the largest error that is allowed."""

    title: str
    dtype: str
    lines: list[Line]
    allowed: str
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def charts(found: Together) -> list[Chart]:
    """A chart for each quantity of which there are numbers, in ULP on logarithmic axes; of the commonest dtype."""
    dtypes = Counter(measures["dtype"] for measures in found.measures.values() if measures["points"])
    if not dtypes:
        return []
    ((dtype, _),) = dtypes.most_common(1)
    return [chart for name, title in SHOWN.items() if (chart := _chart(found, name, title, dtype)) is not None]


def _chart(found: Together, name: str, title: str, dtype: str) -> Chart | None:
    curves: dict[tuple[tuple[float, float, float], ...], list[str]] = {}
    allowed: dict[float, float] = {}
    for column in found.columns:
        curve: list[tuple[float, float, float]] = []
        measures = found.measures.get(column.label, {"dtype": "", "points": ()})
        for point in measures["points"] if measures["dtype"] == dtype else ():
            if point["kind"] == "conditioning" and name in point["worst"]:
                worst = point["worst"][name]
                curve.append((point["at"], worst["ulp"], worst["ratio"]))
                allowed[point["at"]] = max(allowed.get(point["at"], 0.0), worst["allowed"])
        if curve:
            curves.setdefault(tuple(curve), []).append(column.label)
    if not curves:
        return None
    places = sorted(allowed)
    finite = [value for one in curves for _, value, _ in one if math.isfinite(value)]
    top = math.ceil(math.log10(max([10.0, *finite, *(a for a in allowed.values() if math.isfinite(a))])))
    scale = _Scale(places, top)
    lines, ink = [], 0
    for drawn, names in curves.items():
        at, _, ratio = max(drawn, key=lambda point: point[2])
        ink += ratio > 1
        told = f"{ratio:.3g} times the allowed error at |mean|/sd = {at:g}"
        points = " ".join(scale.point(place, value) for place, value, _ in drawn)
        lines.append(Line(", ".join(names), points, (ink - 1) % INKS + 1 if ratio > 1 else 0, told))
    bottom = math.log10(_LEAST)
    ticks = [decade for decade in range(math.ceil(bottom), top + 1) if decade % _DECADES == 0]
    return Chart(
        title,
        dtype,
        sorted(lines, key=lambda line: line.ink > 0),
        " ".join(scale.point(place, allowed[place]) for place in places),
        [(scale.x(place), f"{place:.0e}".replace("e+0", "e") if place >= 1e3 else f"{place:g}") for place in places],
        [(scale.y(10.0**decade), f"1e{decade}") for decade in ticks],
    )


@dataclass(frozen=True)
class _Scale:
    """From numbers to the drawing: places at equal distances, errors by their logarithm."""

    places: list[float]
    top: int

    def x(self, place: float) -> float:
        step = (WIDTH - LEFT - RIGHT) / max(len(self.places) - 1, 1)
        return round(LEFT + step * self.places.index(place), 1)

    def y(self, value: float) -> float:
        low = math.log10(_LEAST)
        height = math.log10(value) if value > _LEAST else low
        share = (min(height, self.top) - low) / (self.top - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def point(self, place: float, value: float) -> str:
        return f"{self.x(place)},{self.y(value)}"


def frame() -> dict[str, Any]:
    """The measures of a drawing, for the template."""
    return {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
