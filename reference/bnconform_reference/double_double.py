"""Double-double arithmetic on NumPy arrays: about 106 bits, by error-free transformations.

A number is an unevaluated sum ``hi + lo`` of two float64 with ``|lo| <= ulp(hi) / 2``. The operators
also accept float64 arrays, so a formula written for arrays runs unchanged at either precision.
Relative errors, in units of U^2 with U = 2^-53, are proved by Joldes, Muller and Popescu,
"Tight and rigorous error bounds for basic building blocks of double-word arithmetic" (ACM TOMS 44, 2017).

Products split their operands by Veltkamp's method, which overflows beyond 2^996. A NaN or an infinity
in an operand gives a non-finite result, never an exception.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

_VELTKAMP = 134217729.0  # 2^27 + 1: splits a float64 into two halves of 26 bits


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``s = fl(a + b)`` and the exact remainder (Knuth; any magnitudes)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``s = fl(a + b)`` and the exact remainder (Dekker; needs ``|a| >= |b|`` or ``a == 0``)."""
    s = a + b
    return s, b - (s - a)


def _split(a: Array) -> tuple[Array, Array]:
    c = _VELTKAMP * a
    high = c - (c - a)
    return high, a - high


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``p = fl(a * b)`` and the exact remainder (Dekker; no fused multiply-add needed)."""
    p = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


class DoubleDouble:
    """An array of double-doubles, which supports ``+ - * /`` and broadcasting like an ndarray."""

    __slots__ = ("hi", "lo")
    __array_ufunc__ = None  # an ndarray on the left defers to the reflected operators below

    def __init__(self, hi: Array, lo: Array) -> None:
        self.hi = hi
        self.lo = lo

    def __add__(self, other: DoubleDouble | Array | float) -> DoubleDouble:
        if isinstance(other, DoubleDouble):  # AccurateDWPlusDW, 3 U^2
            s_hi, s_lo = two_sum(self.hi, other.hi)
            t_hi, t_lo = two_sum(self.lo, other.lo)
            v_hi, v_lo = fast_two_sum(s_hi, s_lo + t_hi)
            return DoubleDouble(*fast_two_sum(v_hi, t_lo + v_lo))
        s_hi, s_lo = two_sum(self.hi, np.asarray(other, np.float64))  # DWPlusFP, 2 U^2
        return DoubleDouble(*fast_two_sum(s_hi, s_lo + self.lo))

    __radd__ = __add__

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.hi, -self.lo)

    def __sub__(self, other: DoubleDouble | Array | float) -> DoubleDouble:
        return self + (-other)

    def __rsub__(self, other: Array | float) -> DoubleDouble:
        return -self + other

    def __mul__(self, other: DoubleDouble | Array | float) -> DoubleDouble:
        if isinstance(other, DoubleDouble):  # DWTimesDW, 7 U^2
            p_hi, p_lo = two_product(self.hi, other.hi)
            return DoubleDouble(*fast_two_sum(p_hi, p_lo + (self.hi * other.lo + self.lo * other.hi)))
        factor = np.asarray(other, np.float64)  # DWTimesFP, 3 U^2
        p_hi, p_lo = two_product(self.hi, factor)
        return DoubleDouble(*fast_two_sum(p_hi, p_lo + self.lo * factor))

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> DoubleDouble:
        divisor = np.asarray(other, np.float64)  # DWDivFP, 3.5 U^2
        q = self.hi / divisor
        p_hi, p_lo = two_product(q, divisor)
        return DoubleDouble(*fast_two_sum(q, ((self.hi - p_hi) - p_lo + self.lo) / divisor))

    def __repr__(self) -> str:
        return f"DoubleDouble(hi={self.hi!r}, lo={self.lo!r})"


Real: TypeAlias = "Array | DoubleDouble"


def exactly(value: Real) -> DoubleDouble:
    """Convert `value` to a double-double, so that results computed from it are double-doubles too."""
    return value if isinstance(value, DoubleDouble) else DoubleDouble(value, np.zeros_like(value))


def high(value: Real) -> Array:
    """Return the value rounded to float64."""
    return value.hi if isinstance(value, DoubleDouble) else value


def distance(actual: Array, exact: Real) -> Array:
    """Return ``|actual - exact|``, elementwise, including the low word of `exact`."""
    if isinstance(exact, DoubleDouble):
        return np.abs((actual - exact.hi) - exact.lo)
    return np.abs(actual - exact)


def rsqrt(value: Real) -> Real:
    """Return ``1 / sqrt(value)``; for a double-double, by one Newton step from the float64 result."""
    if not isinstance(value, DoubleDouble):
        return np.asarray(1.0 / np.sqrt(value))
    r0 = np.asarray(1.0 / np.sqrt(value.hi))
    square = DoubleDouble(*two_product(r0, r0)) * value
    residual = (1.0 - square.hi) - square.lo  # 1 - value * r0^2, of the size of U
    return DoubleDouble(*fast_two_sum(r0, r0 * (0.5 * residual + 0.375 * residual * residual)))


def total(values: Real, *, exact: bool) -> Real:
    """Sum over the last axis, which stays with length 1.

    Parameters
    ----------
    values : array or DoubleDouble, shape (C, n)
    exact : bool
        False sums in float64 (NumPy's pairwise order along a contiguous axis). True sums in double-double by
        halves: with L = ceil(log2 n), the error is at most ``2 L^2 U^2 sum|values|``.

    Returns
    -------
    array or DoubleDouble, shape (C, 1)
        The sums, 0 if n = 0.
    """
    if not exact:
        return np.asarray(np.sum(high(values), axis=-1, keepdims=True))
    values = exactly(values)
    hi, lo = values.hi, values.lo
    if hi.shape[-1] == 0:
        zero = np.zeros((*hi.shape[:-1], 1))
        return DoubleDouble(zero, zero)
    while (n := hi.shape[-1]) > 1:
        half = n // 2
        s, e = two_sum(hi[..., :half], hi[..., half : 2 * half])
        e = e + (lo[..., :half] + lo[..., half : 2 * half])
        if n % 2:
            s = np.concatenate([s, hi[..., -1:]], axis=-1)
            e = np.concatenate([e, lo[..., -1:]], axis=-1)
        hi, lo = s, e
    return DoubleDouble(*fast_two_sum(hi, lo))
