"""Text of the report's fixed cases: a case, and an implementation's errors on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bnconform.cases.fixed_cases import AXES, Handed, Kind, fixed_case
from bnconform.judging.findings import describe_steps
from bnconform.running.measurement import measure_point
from bnconform_adapters.contract import Adapter
from bnconform_adapters.errors import UserError

LEAST: dict[Kind, int] = {"conditioning": 0, "length": 2, "drift": 1}
MOST: dict[Kind, float] = {"conditioning": 1e18, "length": 1e6, "drift": 1e4}
"""Largest places that a user may request; float32 cannot hold the square of a larger mean, and more steps take long."""
_SHOWN_CALLS = 3


class PlaceError(UserError):
    """No case exists at this place."""


def place(kind: Kind, at: float) -> float:
    """Return the place, if a case exists there.

    Raises
    ------
    PlaceError
        If no case exists at the place.
    """
    whole = "" if kind == "conditioning" else "whole "
    if not LEAST[kind] <= at <= MOST[kind] or (whole and at != math.floor(at)):
        advice = f"pass a {whole}number from {LEAST[kind]} to {MOST[kind]:g}"
        raise PlaceError(f"no case of {kind} at {at:g}: {AXES[kind]}; {advice}")
    return at


def all_points(measures: dict[str, Any]) -> Iterator[str]:
    """Yield a line for every point and quantity."""
    yield f"{'':<34}  {'quantity':<12}  {'times allowed':>13}  {'ulp':>9}  {'allowed ulp':>11}"
    for point in measures["points"]:
        where = f"{point['kind']}, {AXES[point['kind']]} {point['at']:g}"
        if "error" in point:
            yield f"{where:<34}  {point['error']}"
        for name, worst in point["worst"].items():
            yield f"{where:<34}  {_numbers(name, worst)}"
            where = ""


def one_point(adapter: Adapter, kind: Kind, at: float) -> Iterator[str]:
    """Yield lines that describe a case and the errors on it."""
    yield from describe_fixed(kind, at, Handed.to(adapter.claims))
    yield ""
    yield from all_points({"points": [measure_point(adapter, kind, at)]})


def describe_fixed(kind: Kind, at: float, handed: Handed) -> list[str]:
    """Describe a fixed case as lines: its first calls and the recipe."""
    steps = fixed_case(kind, at, handed)
    lines = describe_steps(steps[:_SHOWN_CALLS])
    if len(steps) > _SHOWN_CALLS:
        lines[0] = f"case      {len(steps)} calls of one layer, of which the first {_SHOWN_CALLS} are shown"
    return [*lines, f"made by   {steps[0].origin}, as {handed.dtype}"]


def _numbers(name: str, worst: dict[str, float]) -> str:
    return f"{name:<12}  {worst['ratio']:>13.3g}  {worst['ulp']:>9.3g}  {worst['allowed']:>11.3g}"
