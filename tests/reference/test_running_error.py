"""The running error analysis bounds what perturbed and rounded arithmetic really does, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from itertools import product as every
from operator import mul

import numpy as np
import pytest

from bnconform_reference.precision import UNIT_ROUNDOFF, Precision
from bnconform_reference.running_error import Inexact, Rounding, known

EXACTLY = Rounding(unit=0.0, mean_loss=0.0, underflow=0.0)
FLOAT32 = Rounding(UNIT_ROUNDOFF["float32"], Precision.for_dtype("float32", "NT").gamma(64 + 4), 0.0)


def inexact(size: float, error: float) -> Inexact:
    return Inexact(np.asarray(size), np.asarray(error))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_product_covers_every_corner_of_its_factors(count: int) -> None:
    """However the factors err within their bounds, the product errs within its own, and some corner attains it."""
    rng = np.random.default_rng(count)
    values, errors = rng.uniform(0.5, 2, count), rng.uniform(0, 0.5, count)
    bound = Fraction(float(EXACTLY.product(*map(inexact, values, errors)).error))
    exact = reduce(mul, map(Fraction, values))
    corners = [
        abs(reduce(mul, (Fraction(v) + s * Fraction(e) for v, e, s in zip(values, errors, signs, strict=True))) - exact)
        for signs in every((-1, 1), repeat=count)
    ]
    slack = 1 + Fraction(count, 2**50)  # the bound itself is computed in float64
    assert max(corners) <= bound * slack
    assert bound <= max(corners) * slack


def test_small_error_is_not_lost_beside_a_large_size() -> None:
    """An error far below float64's resolution of the product comes through: certificates live on that."""
    assert EXACTLY.product(inexact(3.0, 1e-30), known(5.0)).error == pytest.approx(5e-30)


@pytest.mark.parametrize("count", [2, 4, 7])
def test_product_covers_float32_in_any_order(count: int) -> None:
    """Products of float32 numbers, multiplied in float32 forwards or backwards, err by less than the bound."""
    rng = np.random.default_rng(count)
    for values in rng.uniform(-2, 2, (200, count)).astype(np.float32):
        bound = FLOAT32.product(*(known(float(v)) for v in values)).error
        exact = reduce(mul, (Fraction(float(v)) for v in values))
        for order in (values, values[::-1]):
            assert abs(Fraction(float(reduce(mul, order))) - exact) <= Fraction(float(bound))


def test_sum_covers_float32_in_any_order_where_its_terms_cancel() -> None:
    """Sums of float32 numbers err by less than the bound, which knows of the sizes and not of the cancellation."""
    rng = np.random.default_rng(0)
    for values in rng.uniform(-1, 1, (200, 6)).astype(np.float32):
        total = FLOAT32.sum(*(known(float(v)) for v in values))
        exact = sum(Fraction(float(v)) for v in values)
        assert total.size == pytest.approx(np.abs(values).sum())
        for order in (values, values[::-1]):
            assert abs(Fraction(float(reduce(np.add, order))) - exact) <= Fraction(float(total.error))


def test_mean_covers_float32_one_value_after_the_other() -> None:
    """A mean accumulated in float32 from left to right errs by less than the bound for any order."""
    values = np.random.default_rng(1).standard_normal((50, 64)).astype(np.float32)
    bound = FLOAT32.mean(known(values.astype(np.float64))).error
    for row, allowed in zip(values, bound[:, 0], strict=True):
        mean = np.add.accumulate(row)[-1] / np.float32(64)
        assert abs(Fraction(float(mean)) - sum(map(Fraction, map(float, row))) / 64) <= Fraction(float(allowed))


def test_product_that_may_underflow_is_allowed_what_the_other_factors_make_of_it() -> None:
    """Of 1e-30 * 1e-30 * 1e30 nothing may be left, if the small ones meet first: 1e-30 is lost."""
    tau = 2.0**-126
    rounding = Rounding(0.0, 0.0, tau)
    bound = rounding.product(known(1e-30), known(1e-30), known(1e30)).error
    assert bound >= tau * 1e30
