"""Batch normalization in exact rational arithmetic: the judge of the oracle.

With r = 1 / sqrt(variance + eps), every output is ``a + b r`` for rationals a and b, because r^2 is rational.
Only r is irrational; it is taken to DIGITS digits, so far below double-double that it counts as exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from bnconform_reference.double_double import Array, DoubleDouble, Real

DIGITS = 100


def _integers(values: Array) -> tuple[list[int], int]:
    """The values as integers over one common denominator, a power of two."""
    ratios = [v.as_integer_ratio() for v in values.tolist()]
    denominator = max((d for _, d in ratios), default=1)
    return [n * (denominator // d) for n, d in ratios], denominator


@dataclass(frozen=True)
class Term:
    """``rational + coefficient / sqrt(square)``"""

    rational: Fraction
    coefficient: Fraction = Fraction(0)
    square: Fraction = Fraction(1)

    def value(self) -> mpmath.mpf:
        """The number, to DIGITS digits of its larger part."""
        with mpmath.workdps(DIGITS):
            return _mpf(self.rational) + _mpf(self.coefficient) / mpmath.sqrt(_mpf(self.square))


def _mpf(q: Fraction) -> mpmath.mpf:
    return mpmath.mpf(q.numerator) / q.denominator


@dataclass(frozen=True)
class Channel:
    """One channel's exact results; `y` and `dx` at the chosen elements only."""

    mean: Term
    variance: Term
    invstd: Term
    y: list[Term]
    dweight: Term
    dbias: Term
    dx: list[Term]


def exact_channel(
    x: Array,
    dy: Array,
    weight: float,
    bias: float,
    eps: float,
    *,
    elements: list[int],
    running: tuple[float, float] | None = None,
) -> Channel:
    """Normalize x of shape (n,) by its own statistics, or by `running` = (mean, variance)."""
    n = len(x)
    xs, x_unit = _integers(x)
    dys, dy_unit = _integers(dy)
    sum_x, sum_dy = Fraction(sum(xs), x_unit), Fraction(sum(dys), dy_unit)
    if running is None:
        mean = sum_x / n
        variance = Fraction(sum(v * v for v in xs), x_unit * x_unit * n) - mean * mean
    else:
        mean, variance = Fraction(running[0]), Fraction(running[1])
    square = variance + Fraction(eps)
    # sum dy (x - mean), which is dweight / invstd
    covariance = Fraction(sum(a * b for a, b in zip(xs, dys, strict=True)), x_unit * dy_unit) - mean * sum_dy
    g, b = Fraction(weight), Fraction(bias)

    def output(i: int) -> Term:
        return Term(b, g * (Fraction(xs[i], x_unit) - mean), square)

    def gradient(i: int) -> Term:
        direct = Fraction(dys[i], dy_unit)
        if running is None:
            direct -= sum_dy / n + (Fraction(xs[i], x_unit) - mean) * covariance / (square * n)
        return Term(Fraction(0), g * direct, square)

    return Channel(
        mean=Term(mean),
        variance=Term(variance),
        invstd=Term(Fraction(0), Fraction(1), square),
        y=[output(i) for i in elements],
        dweight=Term(Fraction(0), covariance, square),
        dbias=Term(sum_dy),
        dx=[gradient(i) for i in elements],
    )


def error(actual: Real, exact: list[Term]) -> Array:
    """``|actual - exact|`` of a one-dimensional array or double-double, rounded to float64 only at the end."""
    hi, lo = (actual.hi, actual.lo) if isinstance(actual, DoubleDouble) else (actual, np.zeros_like(actual))
    with mpmath.workdps(DIGITS):
        return np.array(
            [
                float(abs(mpmath.mpf(h) + mpmath.mpf(low) - e.value()))
                for h, low, e in zip(hi.tolist(), lo.tolist(), exact, strict=True)
            ]
        )
