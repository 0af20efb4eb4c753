"""The experiments' curves as coordinates for a template, which draws them as SVG, with bands of confidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bnconform_reports.chart import BOTTOM, HEIGHT, INKS, LEFT, RIGHT, TOP, WIDTH

POINTS = 40
"""Of a curve, at most."""
_TICKS = 5


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes
    ----------
    label : str
    ink : int
        Number of its colour; 0 for what is no batch norm.
    points, band : str
        As SVG's polyline and polygon take them.
    width : float
    """

    label: str
    ink: int
    points: str
    band: str
    width: float


@dataclass(frozen=True)
class BenefitChart:
    """A panel of an experiment."""

    title: str
    x: str
    y: str
    curves: list[Curve]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def benefit_chart(panel: dict[str, Any], subjects: Sequence[str]) -> BenefitChart:
    """A panel's chart; implementations have the colours of their places among `subjects`."""
    everything = [value for line in panel["lines"] for y in line["y"] for value in y.values() if value is not None]
    places = [x for line in panel["lines"] for x in line["x"]]
    across = Scale.over(places, LEFT, WIDTH - RIGHT, log=panel["x_log"])
    up = Scale.over(everything, HEIGHT - BOTTOM, TOP, log=panel["y_log"])
    curves = []
    for i, line in enumerate(panel["lines"]):
        kept = _thinned(list(zip(line["x"], line["y"], strict=True)))
        shown = [(x, y) for x, y in kept if None not in y.values()]
        low = [(x, y["low"]) for x, y in shown]
        high = [(x, y["high"]) for x, y in reversed(shown)]
        ink = subjects.index(line["subject"]) % INKS + 1 if line["subject"] in subjects else 0
        middle = [(x, y["mean"]) for x, y in shown]
        width = line_width(i, len(panel["lines"]))
        curves.append(Curve(line["label"], ink, _text(middle, across, up), _text(low + high, across, up), width))
    return BenefitChart(panel["title"], panel["x"], panel["y"], curves, across.ticks(), up.ticks())


def line_width(number: int, lines: int) -> float:
    """Of one line among others: the first ones are wider, so that they show beside a later one that covers them."""
    return round(1.2 + 3.6 * (lines - 1 - number) / max(lines - 1, 1), 1)


def _thinned(points: list[Any]) -> list[Any]:
    step = -(-len(points) // POINTS)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def _text(points: list[tuple[float, float]], across: Scale, up: Scale) -> str:
    return " ".join(f"{across.at(x)},{up.at(y)}" for x, y in points)


@dataclass(frozen=True)
class Scale:
    """From numbers to the drawing, linear or logarithmic.

    Attributes
    ----------
    low, high : float
        The ends, as numbers.
    begin, end : float
        Where they lie.
    log : bool
    """

    low: float
    high: float
    begin: float
    end: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, *, log: bool) -> Scale:
        """One that holds all values; those that a logarithm has no place for lie on the lowest line."""
        usable = [value for value in values if value > 0] if log else list(values)
        low, high = (min(usable), max(usable)) if usable else (1.0, 2.0) if log else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        return cls(low, high, begin, end, log)

    @property
    def _of(self) -> Callable[[float], float]:
        return math.log2 if self.log else float

    def at(self, value: float) -> float:
        """Where a number lies, inside the ends."""
        inside = min(max(value, self.low), self.high)
        share = (self._of(inside) - self._of(self.low)) / (self._of(self.high) - self._of(self.low))
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """A few round numbers, where they lie."""
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
