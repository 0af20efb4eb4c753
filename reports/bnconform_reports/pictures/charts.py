"""Charts as coordinates: a template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bnconform_reports.pictures.curves import Curve, Curves, case_anchor, error_text, place_text
from bnconform_reports.records.merging import Merged

FRAME = {"width": 400, "height": 240, "left": 46, "right": 16, "top": 10, "bottom": 34}
"""Size of a drawing, and its margins."""
ACROSS = (FRAME["left"], FRAME["width"] - FRAME["right"])
UP = (FRAME["height"] - FRAME["bottom"], FRAME["top"])
LEAST = 0.1
"""ULP; smaller errors lie on the lowest line."""
INKS = 6
"""Number of colours; further lines start again."""
POINTS = 40
"""Most points of a curve of an experiment."""
_LINES = 4
"""About how many lines the grid has."""
_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """From numbers, low to high, to places on the drawing, begin to end; linear or logarithmic."""

    low: float
    high: float
    begin: float
    end: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, *, log: bool) -> Scale:
        """A scale that holds all values; values without a logarithm lie on the lowest line."""
        usable = [value for value in values if value > 0] if log else list(values)
        low, high = (min(usable), max(usable)) if usable else (1.0, 2.0) if log else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        return cls(low, high, begin, end, log)

    @property
    def _of(self) -> Callable[[float], float]:
        return math.log2 if self.log else float

    def at(self, value: float) -> float:
        """The place of a number on the drawing, between the ends; NaN lies at the lower end."""
        inside = min(max(self.low, value), self.high)
        share = (self._of(inside) - self._of(self.low)) / (self._of(self.high) - self._of(self.low))
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """A few round numbers, with their places."""
        return [(self.at(value), f"{value:g}") for value in self._round()]

    def _round(self) -> Iterator[float]:
        if self.log:
            first, last = math.ceil(math.log2(self.low)), math.floor(math.log2(self.high))
            if first > last:
                yield self.low
                return
            octaves = max(1, -(-(last - first) // _TICKS))
            yield from (2.0**k for k in range(first, last + 1, octaves))
            return
        rough = (self.high - self.low) / _TICKS
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * (1 - 1e-9))
        yield from (step * k for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1))


@dataclass(frozen=True)
class Line:
    """A line of a chart of errors; implementations of equal numbers share it.

    Attributes
    ----------
    names : str
    points : str
        Coordinates in the form of SVG's polyline.
    ink : int
        Number of its colour, from 1; 0 if every error is allowed.
    error : str
        The largest error as a multiple of the allowed one, and its place.
    worst : tuple of (float, float)
        The coordinates of that error.
    anchor : str
        The id of its case on the page.
    """

    names: str
    points: str
    ink: int
    error: str
    worst: tuple[float, float]
    anchor: str


@dataclass(frozen=True)
class Chart:
    """The errors of one quantity: the lines, and the largest error that is allowed."""

    title: str
    axis: str
    dtype: str
    lines: list[Line]
    allowed: str
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def error_chart(found: Merged, of: Curves) -> Chart:
    """The chart of one quantity: errors in ULP on a logarithmic axis, places at equal distances."""
    errors = [ulp for curve in of.curves for _, ulp, _ in curve.errors] + list(of.allowed.values())
    low, top = math.ceil(math.log10(LEAST)), math.ceil(math.log10(max([10.0, *filter(math.isfinite, errors)])))
    across = Scale(0, max(len(of.places) - 1, 1), *ACROSS, log=False)
    up = Scale(LEAST, 10.0**top, *UP, log=True)
    x = {place: across.at(i) for i, place in enumerate(of.places)}
    lines, ink = [], 0
    for curve in of.curves:
        ink += curve.worst[0] > 1
        lines.append(_line(found, of, curve, x, up, (ink - 1) % INKS + 1 if curve.worst[0] > 1 else 0))
    return Chart(
        of.title,
        of.axis,
        of.dtype,
        lines,
        _points(((x[place], of.allowed[place]) for place in of.places), up),
        [(x[place], place_text(place)) for place in of.places],
        [(up.at(10.0**k), f"1e{k}") for k in range(low, top + 1, max(1, round((top - low) / _LINES)))],
    )


def _line(found: Merged, of: Curves, curve: Curve, x: dict[float, float], up: Scale, ink: int) -> Line:
    ratio, at = curve.worst
    where = {"conditioning": "|mean|/sd = ", "length": "n = ", "drift": "step "}[of.kind] + f"{at:g}"
    return Line(
        ", ".join(curve.names),
        _points(((x[place], ulp) for place, ulp, _ in curve.errors), up),
        ink,
        f"{error_text(ratio)} at {where}",
        (x[at], up.at(next(ulp for place, ulp, _ in curve.errors if place == at))),
        case_anchor(found, curve.names[0], of.kind, at) if ratio else "",
    )


def _points(points: Iterable[tuple[float, float]], up: Scale) -> str:
    return " ".join(f"{x},{up.at(y)}" for x, y in points)


@dataclass(frozen=True)
class Band:
    """A line of an experiment and its band of confidence, as SVG's polyline and polygon; ink 0 is for no batch norm."""

    label: str
    ink: int
    points: str
    band: str
    width: float


@dataclass(frozen=True)
class PanelChart:
    """A panel of an experiment."""

    title: str
    x: str
    y: str
    curves: list[Band]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def panel_chart(panel: dict[str, Any], subjects: Sequence[str]) -> PanelChart:
    """The chart of a panel; an implementation has the colour of its place among `subjects`."""
    everything = [value for line in panel["lines"] for y in line["y"] for value in y.values() if value is not None]
    across = Scale.over([x for line in panel["lines"] for x in line["x"]], *ACROSS, log=panel["x_log"])
    up = Scale.over(everything, *UP, log=panel["y_log"])
    curves = []
    for i, line in enumerate(panel["lines"]):
        thinned = _thinned(list(zip(line["x"], line["y"], strict=True)))
        shown = [(across.at(x), y) for x, y in thinned if None not in y.values()]
        mean, low, high = ([(x, y[name]) for x, y in shown] for name in ("mean", "low", "high"))
        ink = subjects.index(line["subject"]) % INKS + 1 if line["subject"] in subjects else 0
        width = line_width(i, len(panel["lines"]))
        curves.append(Band(line["label"], ink, _points(mean, up), _points(low + high[::-1], up), width))
    return PanelChart(panel["title"], panel["x"], panel["y"], curves, across.ticks(), up.ticks())


def line_width(number: int, lines: int) -> float:
    """The width of a line among others; earlier lines are wider, so that they show beside a later one over them."""
    return round(1.2 + 3.6 * (lines - 1 - number) / max(lines - 1, 1), 1)


def _thinned(points: list[Any]) -> list[Any]:
    step = -(-len(points) // POINTS)
    return points if step <= 1 else [*points[:-1:step], points[-1]]
