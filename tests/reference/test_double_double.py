"""Double-double arithmetic against exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, isfinite, log2
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bnconform_reference.double_double import (
    DoubleDouble,
    distance,
    exactly,
    fast_two_sum,
    high,
    rsqrt,
    total,
    two_product,
    two_sum,
)

U = Fraction(1, 2**53)

# Wide enough to meet any alignment of two numbers, narrow enough that no product or quotient underflows:
# error-free products need their last bit, 2^-106 below the first, to be a float64.
MAGNITUDE = 2.0**200


def floats(smallest: float = 1 / MAGNITUDE, largest: float = MAGNITUDE) -> st.SearchStrategy[float]:
    """0 and both signs of [smallest, largest], with as many short significands as long ones."""
    positive = st.one_of(
        st.floats(smallest, largest),
        st.builds(lambda m, e: m * 2.0**e, st.integers(1, 2**10), st.integers(-180, 180)),
    )
    return st.one_of(st.just(0.0), positive, positive.map(lambda v: -v))


def pairs(values: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[tuple[float, float]]:
    """(hi, lo) with lo at most half an ulp of hi, as often exactly half an ulp as not."""
    fraction = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1))
    return st.builds(_pair, floats() if values is None else values, fraction)


def _pair(hi: float, fraction: float) -> tuple[float, float]:
    lo = float(np.spacing(abs(hi))) / 2 * fraction if abs(hi) > MAGNITUDE**-1 else 0.0
    s, e = two_sum(np.float64(hi), np.float64(lo))
    return float(s), float(e)


def double_double(pair: tuple[float, float]) -> DoubleDouble:
    return DoubleDouble(np.array(pair[0]), np.array(pair[1]))


def fraction(value: Any) -> Fraction:
    if isinstance(value, DoubleDouble):
        return Fraction(float(value.hi)) + Fraction(float(value.lo))
    return Fraction(float(value))


@given(floats(5e-324, 1e300), floats(5e-324, 1e300))
def test_two_sum_is_error_free(a: float, b: float) -> None:
    """two_sum's two results add up to exactly a + b, at any magnitudes, subnormal ones included."""
    s, e = two_sum(np.float64(a), np.float64(b))
    assert s == a + b
    assert Fraction(float(s)) + Fraction(float(e)) == Fraction(a) + Fraction(b)


@given(floats(5e-324, 1e300), floats(5e-324, 1e300))
def test_fast_two_sum_is_error_free_for_ordered_operands(a: float, b: float) -> None:
    """fast_two_sum is exact when the first operand is the larger one."""
    a, b = sorted((a, b), key=abs, reverse=True)
    s, e = fast_two_sum(np.float64(a), np.float64(b))
    assert Fraction(float(s)) + Fraction(float(e)) == Fraction(a) + Fraction(b)


@given(floats(), floats())
def test_two_product_is_error_free(a: float, b: float) -> None:
    """two_product's two results add up to exactly a * b where nothing overflows or underflows."""
    p, e = two_product(np.float64(a), np.float64(b))
    assert p == a * b
    assert Fraction(float(p)) + Fraction(float(e)) == Fraction(a) * Fraction(b)


# Units of U^2, theorems of Joldes, Muller and Popescu (2017): DWPlusFP 2, AccurateDWPlusDW 3, DWTimesFP2 3,
# DWTimesDW1 7, DWDivFP 3.5. Their remainders of order U^3 are below 25 U^3 for each.
OPERATIONS: list[tuple[str, Callable[[Any, Any], Any], bool, Fraction]] = [
    ("double-double + float", lambda a, b: a + b, False, Fraction(2)),
    ("float + double-double", lambda a, b: b + a, False, Fraction(2)),
    ("double-double - float", lambda a, b: a - b, False, Fraction(2)),
    ("float - double-double", lambda a, b: b - a, False, Fraction(2)),
    ("double-double + double-double", lambda a, b: a + b, True, Fraction(3)),
    ("double-double - double-double", lambda a, b: a - b, True, Fraction(3)),
    ("double-double * float", lambda a, b: a * b, False, Fraction(3)),
    ("float * double-double", lambda a, b: b * a, False, Fraction(3)),
    ("double-double * double-double", lambda a, b: a * b, True, Fraction(7)),
    ("double-double / float", lambda a, b: a / b, False, Fraction(7, 2)),
]


@pytest.mark.parametrize(("operation", "both", "units"), [pytest.param(*o[1:], id=o[0]) for o in OPERATIONS])
@given(data=st.data())
def test_operation_is_as_accurate_as_its_theorem(
    operation: Callable[[Any, Any], Any], both: bool, units: Fraction, data: st.DataObject
) -> None:
    """The relative error of an operation is at most what Joldes, Muller and Popescu prove."""
    a = double_double(data.draw(pairs()))
    b: Any = double_double(data.draw(pairs())) if both else np.array(data.draw(floats()))
    dividing = units == Fraction(7, 2)
    assume(not dividing or fraction(b) != 0)
    exact = fraction(a) / fraction(b) if dividing else operation(fraction(a), fraction(b))
    actual = operation(a, b)
    assert abs(fraction(actual) - exact) <= (units * U**2 + 25 * U**3) * abs(exact)


@given(pairs(), pairs())
def test_operation_result_is_normalized(a: tuple[float, float], b: tuple[float, float]) -> None:
    """The high word of a sum or product is the whole result rounded to float64."""
    for result in (double_double(a) + double_double(b), double_double(a) * double_double(b)):
        assert result.hi + result.lo == result.hi


@given(pairs(st.floats(1 / MAGNITUDE, MAGNITUDE)))
def test_rsqrt_is_within_sixteen_squared_roundoffs(value: tuple[float, float]) -> None:
    """rsqrt errs by at most the 16 U^2 that the certificate grants an operation."""
    result = fraction(rsqrt(double_double(value)))
    with mpmath.workdps(80):
        exact = 1 / mpmath.sqrt(mpmath.mpf(value[0]) + mpmath.mpf(value[1]))
        error = abs(mpmath.mpf(result.numerator) / result.denominator - exact)
        assert error <= mpmath.mpf(16) / 2**106 * exact


@given(st.lists(pairs(), min_size=1, max_size=40))
def test_total_is_within_its_stated_error(values: list[tuple[float, float]]) -> None:
    """The double-double sum errs by at most 2 L^2 U^2 sum |values|, L the rounded-up logarithm of their number."""
    summands = DoubleDouble(*(np.array([word]) for word in zip(*values, strict=True)))
    exact = [Fraction(hi) + Fraction(lo) for hi, lo in values]
    levels = ceil(log2(len(values)))
    actual = total(summands, exact=True)
    assert isinstance(actual, DoubleDouble)
    assert actual.hi.shape == (1, 1)
    error = abs(fraction(DoubleDouble(actual.hi[0, 0], actual.lo[0, 0])) - sum(exact))
    assert error <= 2 * levels**2 * U**2 * sum(map(abs, exact))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 127, 1000, 4097])
def test_total_survives_cancellation(n: int) -> None:
    """A sum whose terms cancel to a millionth of a float64 roundoff keeps the stated error."""
    rng = np.random.default_rng(n)
    values = rng.standard_normal(n) * 10.0 ** rng.uniform(-20, 20, n)
    values = np.concatenate([values, -values[::-1], [1e-25]])
    actual = total(values[None], exact=True)
    assert isinstance(actual, DoubleDouble)
    error = abs(fraction(DoubleDouble(actual.hi[0, 0], actual.lo[0, 0])) - Fraction(1e-25))
    levels = ceil(log2(values.size))
    assert error <= 2 * levels**2 * U**2 * sum(abs(Fraction(v)) for v in values.tolist())


@pytest.mark.parametrize("exact", [False, True])
def test_total_of_nothing_is_zero(exact: bool) -> None:
    """An empty sum is 0 in every row."""
    assert high(total(np.zeros((3, 0)), exact=exact)).tolist() == [[0.0], [0.0], [0.0]]


def test_total_in_float64_is_numpys_sum() -> None:
    """Without `exact`, total is NumPy's own pairwise sum."""
    values = np.random.default_rng(0).standard_normal((3, 1000))
    actual = total(values, exact=False)
    assert isinstance(actual, np.ndarray)
    np.testing.assert_array_equal(actual, values.sum(axis=-1, keepdims=True))


@given(floats(), pairs())
def test_distance_keeps_the_low_word(actual: float, exact: tuple[float, float]) -> None:
    """The distance to a double-double near by is right to two roundings, although the high words may agree."""
    value = double_double(exact)
    truth = abs(Fraction(actual) - fraction(value))
    measured = Fraction(float(distance(np.array(actual), value)))
    # One rounding of the difference of the high words, one of the result.
    assert abs(measured - truth) <= U * (abs(Fraction(actual) - Fraction(exact[0])) + truth) * (1 + U)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("operation", [o[1] for o in OPERATIONS], ids=[o[0] for o in OPERATIONS])
def test_non_finite_operand_gives_a_non_finite_result(operation: Callable[[Any, Any], Any], value: float) -> None:
    """NaN or infinity never turns back into a number."""
    with np.errstate(invalid="ignore"):
        assert not isfinite(high(operation(exactly(np.array(value)), np.array(2.0))))


def test_array_on_the_left_defers_to_double_double() -> None:
    """An ndarray before an operator gives one double-double, not an object array of them."""
    columns = exactly(np.ones((2, 1)))
    for result in (np.ones((2, 3)) - columns, np.ones((2, 3)) + columns, np.ones((2, 3)) * columns):
        assert isinstance(result, DoubleDouble)
        assert result.hi.shape == (2, 3)
