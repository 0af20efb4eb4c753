"""How far an implementation is from the oracle on fixed cases, the same for all: for figures and comparisons.

Laws search for what is broken; this runs the same numbers through every implementation, so that they can be set side
by side. Deviations are signed, and taken from the oracle in the implementation's own dialect, so that the difference
of two implementations' deviations is their difference with the conventions set aside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.comparison import ulp
from bnconform.identify.probe import CHANNELS, Probe, Unanswered, got
from bnconform.oracle import Quantity, expect
from bnconform_adapters.contract import DTYPES, Adapter, Case, dtype_name
from bnconform_reference.double_double import Array, distance, high
from bnconform_reference.precision import Grade
from bnconform_reference.shapes import channel_rows, from_channel_rows

RATIOS = (0.0, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6)
"""|mean| / sd of the cases of conditioning."""
LENGTH = 16
"""Their values per channel."""
LENGTHS = (2, 16, 128, 1024, 8192)
"""Values per channel of the cases of length, all with |mean| / sd = 3."""
GRADE: Grade = "NW"
"""By which errors are allowed here, whatever is claimed: any order of summation, two passes or Welford."""
_DIGITS = 5


def measure(adapter: Adapter) -> dict[str, Any]:
    """The deviations of an implementation, as JSON data.

    Returns
    -------
    dict
        `dtype`, and `points`: each with `kind` ("conditioning" or "length"), `at`, and per quantity the worst error
        (`ulp`, and `ratio` of the allowed one). Points of conditioning also have all `deviations` and what was
        `allowed`. The unit in the last place is that of the largest expected value of the channel: near a zero of y
        its own unit would say nothing. A point that raised has its `error` instead.
    """
    probe = Probe(adapter)
    points = []
    if "training" in probe.claims.modes:
        points = [_point(probe, "conditioning", ratio, LENGTH, ratio) for ratio in RATIOS]
        points += [_point(probe, "length", float(n), n, 3.0) for n in LENGTHS]
    return {"dtype": probe.dtype, "points": points}


def _point(probe: Probe, kind: str, at: float, n: int, ratio: float) -> dict[str, Any]:
    case = _case(probe, n, ratio)
    point: dict[str, Any] = {"kind": kind, "at": at, "worst": {}}
    try:
        outcome = probe.run(case)[0]
        claims = replace(probe.claims, grade=GRADE)
        for name, quantity in expect(case, claims).items():
            deviation, allowed = _in_ulp(got(outcome, name, case), quantity, case)
            point["worst"][name] = _worst(deviation, allowed)
            if kind == "conditioning":
                point.setdefault("deviations", {})[name] = _rounded(deviation)
                point.setdefault("allowed", {})[name] = _rounded(allowed)
    except Unanswered as unanswered:
        return {"kind": kind, "at": at, "worst": {}, "error": str(unanswered)}
    return point


def _case(probe: Probe, n: int, ratio: float) -> Case:
    """The case of a length and a ratio; its numbers depend on these alone."""
    random = np.random.default_rng([n, int(ratio)])
    rows = random.standard_normal((CHANNELS, n)) + ratio
    weight, bias = random.uniform(0.5, 2.0, CHANNELS), random.uniform(-1.0, 1.0, CHANNELS)
    dy = random.standard_normal((CHANNELS, n))
    eps, *_ = probe.claims.usable_eps((1e-5, 1e-3, 1.0))
    momentum, *_ = probe.claims.usable_momenta((0.1,))
    case = probe.case(rows, weight=weight, bias=bias, eps=eps, momentum=momentum)
    if "training" not in probe.claims.gradients:
        return case
    return replace(case, dy=from_channel_rows(dy, case.x.shape).astype(DTYPES[probe.dtype]))


def _in_ulp(actual: NDArray[Any], quantity: Quantity, case: Case) -> tuple[Array, Array]:
    """Signed deviations and allowed errors, as rows (C, n) of units of the channel's largest expected value."""
    value = _rows(high(quantity.value), case)
    sign = np.where(_rows(actual.astype(np.float64), case) < value, -1.0, 1.0)
    error = _rows(np.asarray(distance(actual.astype(np.float64), quantity.value)), case)
    unit = np.array([[ulp(float(np.abs(row).max()), dtype_name(actual))] for row in value])
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
