"""Errors as lines: coordinates for a template, which draws them as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bnconform_reports.curves import Curve, Curves, error_text
from bnconform_reports.together import Together
from bnconform_reports.worst_cases import anchor_of

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 10, 34
LEAST = 0.1
"""ULP; smaller errors lie on the lowest line."""
_LINES = 4
"""Of the grid, about."""
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
    worst : tuple of (float, float)
        Where on the drawing that is.
    anchor : str
        The id of its case on the page.
    """

    names: str
    points: str
    ink: int
    told: str
    worst: tuple[float, float]
    anchor: str


@dataclass(frozen=True)
class Chart:
    """One quantity: the lines, and the largest error that is allowed."""

    title: str
    axis: str
    dtype: str
    lines: list[Line]
    allowed: str
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def place_text(place: float) -> str:
    """A place in few characters."""
    return f"{place:.0e}".replace("e+0", "e") if place >= 1e4 else f"{place:g}"


def charts(found: Together, shown: list[Curves]) -> list[Chart]:
    """A chart for each quantity, in ULP on logarithmic axes."""
    return [_chart(found, of) for of in shown]


def _chart(found: Together, of: Curves) -> Chart:
    errors = [ulp for curve in of.curves for _, ulp, _ in curve.errors] + list(of.allowed.values())
    top = math.ceil(math.log10(max([10.0, *filter(math.isfinite, errors)])))
    scale = _Scale(of.places, top)
    lines, ink = [], 0
    for curve in of.curves:
        ratio, _ = curve.worst
        ink += ratio > 1
        lines.append(_line(found, of, curve, scale, (ink - 1) % INKS + 1 if ratio > 1 else 0))
    low = math.ceil(math.log10(LEAST))
    step = max(1, round((top - low) / _LINES))
    return Chart(
        of.title,
        of.axis,
        of.dtype,
        lines,
        " ".join(scale.point(place, of.allowed[place]) for place in of.places),
        [(scale.x(place), place_text(place)) for place in of.places],
        [(scale.y(10.0**decade), f"1e{decade}") for decade in range(low, top + 1) if (decade - low) % step == 0],
    )


def _line(found: Together, of: Curves, curve: Curve, scale: _Scale, ink: int) -> Line:
    ratio, at = curve.worst
    ulp = next(ulp for place, ulp, _ in curve.errors if place == at)
    return Line(
        ", ".join(curve.names),
        " ".join(scale.point(place, ulp) for place, ulp, _ in curve.errors),
        ink,
        f"{error_text(ratio)} at {_where(of, at)}",
        (scale.x(at), scale.y(ulp)),
        anchor_of(found, curve.names[0], of.kind, at) if ratio else "",
    )


def _where(of: Curves, at: float) -> str:
    return {"conditioning": "|mean|/sd = ", "length": "n = ", "drift": "step "}[of.kind] + f"{at:g}"


@dataclass(frozen=True)
class _Scale:
    """From numbers to the drawing: places at equal distances, errors by their logarithm."""

    places: list[float]
    top: int

    def x(self, place: float) -> float:
        step = (WIDTH - LEFT - RIGHT) / max(len(self.places) - 1, 1)
        return round(LEFT + step * self.places.index(place), 1)

    def y(self, value: float) -> float:
        low = math.log10(LEAST)
        height = math.log10(value) if value > LEAST else low
        share = (min(height, self.top) - low) / (self.top - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def point(self, place: float, value: float) -> str:
        return f"{self.x(place)},{self.y(value)}"


def frame() -> dict[str, Any]:
    """The measures of a drawing, for the template."""
    return {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
