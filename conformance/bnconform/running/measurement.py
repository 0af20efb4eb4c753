"""Deviations of an implementation from the oracle on fixed cases, for figures and comparisons.

Laws search for defects; here every implementation gets the same numbers, so that results are comparable. Deviations are
signed. The oracle uses the implementation's own dialect, so the difference of two implementations' deviations is their
difference without the conventions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.fixed_cases import Handed, Kind, fixed_case
from bnconform.identify.probe import Probe, Unanswered, got
from bnconform.judging.comparison import ulp
from bnconform.judging.drift import trajectory
from bnconform.judging.oracle import Expected, Quantity, expect
from bnconform_adapters.contract import Adapter, Case, Outcome, dtype_name
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.double_double import Array, distance, high
from bnconform_reference.precision import LARGEST, Grade

RATIOS = (0.0, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6)
"""|mean| / sd of the conditioning cases, if the dtype can represent the values."""
LENGTHS = (2, 16, 128, 1024, 8192)
"""Values per channel of the length cases."""
STEPS = (1, 2, 5, 10, 20, 50, 100, 200)
"""Training steps of a new layer after which its statistics are compared."""
FEW_STEPS = 20
"""Largest number of steps if every step is slow."""
TAIL = 2.0
"""Bound of all values, as a multiple of a large |mean|."""
GRADE: Grade = "NW"
"""Grade of the allowed errors here, instead of the claimed one: any summation order, two passes or Welford."""
_DIGITS = 5


def measure(adapter: Adapter) -> dict[str, Any]:
    """Measure the deviations of an implementation, as JSON data.

    Returns
    -------
    dict
        `dtype`; `handed`, the argument of :func:`~bnconform.cases.fixed_cases.fixed_case` that gives the cases; and
        `points`. A point has `kind`, `at`, and per quantity the worst error (in `ulp`, as `ratio` to the allowed error,
        and the `allowed` error). Points of conditioning also have all `deviations` and the error `allowed` for each.
        The unit in the last place is that of the channel's largest expected value: near a zero of y, the unit of y
        itself would mean nothing. A point that raised has an `error` instead.
    """
    handed, points = Handed.to(adapter.claims), []
    if "training" in adapter.claims.modes:
        room = LARGEST[handed.dtype] / TAIL  # values are about `ratio` sd from 0, and a little more
        points = [measure_point(adapter, "conditioning", ratio) for ratio in RATIOS if ratio < room]
        points += [measure_point(adapter, "length", float(n)) for n in LENGTHS]
        slow = adapter.claims.cost == "interpreted"
        if adapter.claims.tracked:
            points += _drift(adapter, tuple(k for k in STEPS if not slow or k <= FEW_STEPS))
    return {"dtype": handed.dtype, "handed": asdict(handed), "points": points}


def measure_point(adapter: Adapter, kind: Kind, at: float) -> dict[str, Any]:
    """Measure one point as :func:`measure` does; any `at` is allowed."""
    if kind == "drift":
        return _drift(adapter, (int(at),))[-1]
    (case,) = fixed_case(kind, at, Handed.to(adapter.claims))
    if not adapter.claims.tracked:
        case = replace(case, running_mean=None, running_var=None)
    if not adapter.claims.parameter_gradients:
        case = replace(case, wanted="dx")
    point: dict[str, Any] = {"kind": kind, "at": at, "worst": {}}
    claims = replace(adapter.claims, grade=GRADE)
    try:
        outcome = Probe(adapter).run(case)[0]
        for name, (deviation, allowed) in _deviations(outcome, expect(case, claims), case):
            point["worst"][name] = _worst(deviation, allowed)
            if kind == "conditioning":
                point.setdefault("deviations", {})[name] = _rounded(deviation)
                point.setdefault("allowed", {})[name] = _rounded(allowed)
    except Unanswered as unanswered:
        return {"kind": kind, "at": at, "worst": {}, "error": str(unanswered)}
    return point


def _drift(adapter: Adapter, places: tuple[int, ...]) -> list[dict[str, Any]]:
    """Measure the statistics of one layer after each number of steps in `places`."""
    steps = fixed_case("drift", max(places), Handed.to(adapter.claims))
    points: list[dict[str, Any]] = []
    try:
        outcomes = Probe(adapter).run(*steps)
        expected = list(trajectory(steps, replace(adapter.claims, grade=GRADE)))
        for k in places:
            found = _deviations(outcomes[k - 1], expected[k - 1], steps[k - 1])
            worst = {name: _worst(deviation, allowed) for name, (deviation, allowed) in found}
            points.append({"kind": "drift", "at": float(k), "worst": worst})
    except Unanswered as unanswered:
        points.append({"kind": "drift", "at": float(max(places)), "worst": {}, "error": str(unanswered)})
    return points


def _deviations(outcome: Outcome, expected: Expected, case: Case) -> Iterator[tuple[str, tuple[Array, Array]]]:
    """Yield signed deviations and allowed errors of every expected output, in ULP."""
    for name, quantity in expected.items():
        yield name, _in_ulp(got(outcome, name, case), quantity, case)


def _in_ulp(actual: NDArray[Any], quantity: Quantity, case: Case) -> tuple[Array, Array]:
    """Return signed deviations and allowed errors as rows (C, n), in ULP of the channel's largest expected value."""
    value = _rows(high(quantity.value), case)
    sign = np.where(_rows(actual.astype(np.float64), case) < value, -1.0, 1.0)
    error = _rows(np.asarray(distance(actual.astype(np.float64), quantity.value)), case)
    unit = np.array([[ulp(float(np.abs(row).max()), dtype_name(actual))] for row in value])
    with np.errstate(over="ignore"):  # for a value of 0 the unit is the smallest possible
        return sign * error / unit, _rows(quantity.allowed, case) / unit


def _rows(array: Array, case: Case) -> Array:
    return channel_rows(array) if array.ndim > 1 else array.reshape(case.channels, 1)


def _worst(deviation: Array, allowed: Array) -> dict[str, float]:
    with np.errstate(all="ignore"):
        ratio = np.where(deviation == 0, 0.0, np.abs(deviation) / allowed)
    finite = bool(np.isfinite(deviation).all())
    return {
        "ulp": _short(float(np.abs(deviation).max())) if finite else float("inf"),
        "ratio": _short(float(ratio.max())) if finite else float("inf"),
        "allowed": _short(float(allowed.max())),
    }


def _rounded(array: Array) -> list[float]:
    return [_short(float(value)) for value in array.ravel()]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
