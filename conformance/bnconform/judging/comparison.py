"""Distance of an output from its expected value: as a multiple of the allowed error, and in ulp."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, ldexp

import numpy as np

from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import AnyArray, dtype_name
from bnconform_reference.double_double import Array, distance, high
from bnconform_reference.precision import LARGEST, SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, DtypeName


@dataclass(frozen=True)
class Comparison:
    """Distance of one output from its expected value, in multiples of the allowed error."""

    ratio: Array
    """Elementwise; 0 where no check is possible, infinite where only one of the two is finite."""
    error: Array
    unbounded: int
    overflowing: int

    @property
    def worst(self) -> tuple[int, ...]:
        """Index of the worst element."""
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(self.ratio)), self.ratio.shape))


def compare(actual: AnyArray, quantity: Quantity) -> Comparison:
    """Compare one output with its expected value, elementwise.

    If the expected value is not finite, any non-finite output is right. If value and allowed error reach past the
    largest number of the output's dtype, an infinity of the right sign is right. If they do so on both sides, any
    output is right, also NaN: parts of a sum may have become infinite.
    """
    dtype = dtype_name(actual)
    got = actual.astype(np.float64)
    with np.errstate(all="ignore"):
        error = distance(got, quantity.value)
        overflow = LARGEST[dtype] * (1 + UNIT_ROUNDOFF[dtype])
        if np.isfinite(error).all() and (quantity.allowed < overflow).all():  # most cases: no exception applies
            return Comparison(np.where(error == 0, 0.0, error / quantity.allowed), error, 0, 0)
        value = high(quantity.value)
        within = quantity.allowed - np.abs(np.where(np.isfinite(value), value, 0.0)) < overflow
        allowed = np.where(within, quantity.allowed, np.inf)
        ratio = np.where(np.isfinite(got), error / allowed, np.inf)
        unbounded = np.isinf(allowed) & np.isfinite(value)
        ratio = np.where(unbounded | (error == 0), 0.0, ratio)
        reach = np.where(got > 0, value, -value) + allowed  # end of the allowed interval, on the infinity's side
        overflowing = np.isinf(got) & (reach >= overflow)
        ratio = np.where(overflowing, 0.0, ratio)
        ratio = np.where(np.isfinite(value), ratio, np.where(np.isfinite(got), np.inf, 0.0))
    return Comparison(ratio, error, int(unbounded.sum()), int(overflowing.sum()))


def ulp(value: float, dtype: DtypeName) -> float:
    """Return the distance of neighbouring numbers of a dtype at `value`."""
    if value == 0 or not np.isfinite(value):
        return SMALLEST_SUBNORMAL[dtype]
    step = ldexp(UNIT_ROUNDOFF[dtype], frexp(value)[1])  # log2 would round up just below a power of 2
    return max(step, SMALLEST_SUBNORMAL[dtype])


def ulp_of(values: Array, dtype: DtypeName) -> Array:
    """Return :func:`ulp` of every element; the smallest subnormal where a value is 0 or not finite."""
    with np.errstate(all="ignore"):
        steps = 2.0 ** np.floor(np.log2(np.abs(values))) * 2 * UNIT_ROUNDOFF[dtype]
    return np.where(np.isfinite(steps), np.maximum(steps, SMALLEST_SUBNORMAL[dtype]), SMALLEST_SUBNORMAL[dtype])
