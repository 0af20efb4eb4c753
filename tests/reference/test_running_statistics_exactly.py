"""Running and population statistics against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnconform_reference.dialect import PYTORCH, Dialect
from bnconform_reference.double_double import DoubleDouble
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import Precision
from bnconform_reference.running_statistics import (
    Moments,
    cumulative_momentum,
    merge,
    moments,
    population_moments,
    stored_variance,
    update,
)

U = Fraction(1, 2**53)
DOUBLE = Precision.for_dtype("float64", "TT")
# Away from underflow, where a relative error means nothing.
finite = st.one_of(st.just(0.0), st.floats(1e-100, 1e100), st.floats(-1e100, -1e-100))
# Squares of their differences do not underflow either.
ordinary = st.one_of(st.just(0.0), st.floats(1e-100, 1e6), st.floats(-1e6, -1e-100))
unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-6, 1.0))
SIZES = [[4], [1, 1], [5, 0, 3], [0, 0, 7], [1, 100, 2, 31], [64, 64, 64, 8]]


def column(value: float) -> np.ndarray:
    return np.array([[value]])


@given(finite, finite, unit)
def test_update_blends_old_and_new(old: float, batch: float, momentum: float) -> None:
    """The update is (1 - momentum) old + momentum batch, within the bound of a running statistic."""
    actual = update(column(old), column(batch), momentum)
    exact = (1 - Fraction(momentum)) * Fraction(old) + Fraction(momentum) * Fraction(batch)
    allowed = running_bound(column(old), column(batch), column(0.0), momentum, DOUBLE)
    assert isinstance(actual, np.ndarray)
    assert abs(Fraction(float(actual[0, 0])) - exact) <= Fraction(float(allowed[0, 0]))


@given(finite, finite, unit)
def test_update_in_double_double_is_a_double_double(old: float, batch: float, momentum: float) -> None:
    """With an old value in double-double the update errs by units of U^2: 3 a sum, 3 the product."""
    zero = np.zeros((1, 1))
    actual = update(DoubleDouble(column(old), zero), DoubleDouble(column(batch), zero), momentum)
    exact = (1 - Fraction(momentum)) * Fraction(old) + Fraction(momentum) * Fraction(batch)
    assert isinstance(actual, DoubleDouble)
    error = abs(Fraction(float(actual.hi[0, 0])) + Fraction(float(actual.lo[0, 0])) - exact)
    step = abs(Fraction(momentum) * (Fraction(batch) - Fraction(old)))
    assert error <= U**2 * (6 * step + 3 * abs(exact)) * (1 + 25 * U)


@given(finite, finite)
def test_update_is_exact_at_the_ends(old: float, batch: float) -> None:
    """Momentum 0 keeps the old statistic and momentum 1 takes the new one, to the bit."""
    assert update(column(old), column(batch), 0.0) == column(old)
    assert update(column(old), column(batch), 1.0) == column(batch)


@given(st.lists(ordinary, min_size=1, max_size=30))
def test_cumulative_momentum_makes_the_plain_average(batches: list[float]) -> None:
    """Updates with momentum 1 / k leave the average of all batches, whatever the statistic was at first."""
    running, allowed = column(12345.0), Fraction(0)
    for k, batch in enumerate(batches, start=1):
        momentum = cumulative_momentum(k)
        step = Fraction(float(running_bound(running, column(batch), column(0.0), momentum, DOUBLE)[0, 0]))
        # Earlier errors shrink with the old statistic; 1 / k itself is rounded.
        allowed = allowed * (1 - Fraction(1, k)) + step + U * abs(Fraction(batch) - Fraction(float(running[0, 0]))) / k
        running = np.asarray(update(running, column(batch), momentum))
    assert abs(Fraction(float(running[0, 0])) - sum(map(Fraction, batches)) / len(batches)) <= allowed


def exact_moments(values: list[float]) -> tuple[Fraction, Fraction]:
    numbers = [Fraction(v) for v in values]
    mean = sum(numbers, Fraction(0)) / max(len(numbers), 1)
    return mean, sum(((v - mean) ** 2 for v in numbers), Fraction(0))


def assert_moments(actual: Moments, values: list[float], *, merges: int) -> None:
    """Within the Welford and Chan bound: every value passes the tree sum of its batch, then the merges."""
    __tracebackhide__ = True
    mean, squares = exact_moments(values)
    n = len(values)
    height = Fraction(Precision.for_dtype("float64", "TW").sum_height(n)) + 4 * merges
    gamma = (height + 5) * U / (1 - (height + 5) * U)
    largest = sum((abs(Fraction(v)) for v in values), Fraction(0)) / max(n, 1)
    mean_bound = gamma * largest
    deviation = Fraction(float(squares / max(n, 1)) ** 0.5) * (1 + 8 * U)
    squares_bound = n * (gamma * (squares / max(n, 1) + mean_bound**2) + 2 * deviation * mean_bound + mean_bound**2)
    assert actual.count == n
    assert abs(Fraction(float(actual.mean[0])) - mean) <= mean_bound
    assert abs(Fraction(float(actual.squares[0])) - squares) <= squares_bound


def batches_of(sizes: list[int], ratio: float) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(sizes))
    return [rng.standard_normal((size, 1)) * (i + 1) + ratio for i, size in enumerate(sizes)]


@pytest.mark.parametrize("ratio", [0.0, 1e6])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_population_moments_are_those_of_all_values(sizes: list[int], ratio: float) -> None:
    """Batches of unequal sizes, empty ones included, give the moments of the values they hold together."""
    batches = batches_of(sizes, ratio)
    values = np.concatenate(batches)[:, 0].tolist()
    assert_moments(population_moments(iter(batches)), values, merges=len(sizes) - 1)


@given(st.lists(ordinary, max_size=20), st.lists(ordinary, max_size=20))
def test_merge_gives_the_moments_of_the_union(a: list[float], b: list[float]) -> None:
    """Merged moments are those of both sets together; either may be empty."""
    merged = merge(moments(np.array(a).reshape(-1, 1)), moments(np.array(b).reshape(-1, 1)))
    assert_moments(merged, a + b, merges=1)


def test_merge_with_an_empty_set_changes_nothing() -> None:
    """The empty set is the unit of merging, to the bit."""
    some, none = moments(np.array([[0.1], [0.7]])), moments(np.zeros((0, 1)))
    assert merge(some, none) is some
    assert merge(none, some) is some


def test_moments_count_spatial_positions() -> None:
    """All positions of (N, C, *spatial) count as values of their channel."""
    x = np.arange(24.0).reshape(2, 3, 4)
    found = moments(x)
    assert found.count == 8
    np.testing.assert_array_equal(found.mean, [7.5, 11.5, 15.5])
    np.testing.assert_array_equal(found.variance(), [37.25, 37.25, 37.25])
    np.testing.assert_array_equal(found.variance(unbiased=True), [298 / 7] * 3)


@pytest.mark.parametrize(
    ("count", "unbiased", "message"),
    [
        (1, True, "the set has 1 values per channel; its variance needs at least 2 for an unbiased variance"),
        (0, True, "the set has 0 values per channel; its variance needs at least 2 for an unbiased variance"),
        (0, False, "the set has 0 values per channel; its variance needs at least 1"),
    ],
)
def test_variance_of_too_few_values_is_refused(count: int, unbiased: bool, message: str) -> None:
    """A variance whose divisor would be 0 is refused, naming what there is and what it takes."""
    with pytest.raises(ValueError, match=message):
        moments(np.zeros((count, 2))).variance(unbiased=unbiased)


def test_population_of_no_batches_is_refused() -> None:
    """A data set without a batch has no channels, so no moments."""
    with pytest.raises(ValueError, match="no batches; pass at least one"):
        population_moments([])


def test_population_with_mixed_channels_is_refused() -> None:
    """Batches of different channel counts are not one data set."""
    with pytest.raises(ValueError, match="a batch has 3 channels, the batches before it have 2"):
        population_moments([np.zeros((4, 2)), np.zeros((4, 3))])


@pytest.mark.parametrize(
    ("dialect", "n", "expected"),
    [
        (PYTORCH, 5, 2.5),
        (PYTORCH, 1, 2.0),
        (Dialect(stored_variance="biased"), 5, 2.0),
    ],
)
def test_stored_variance_has_the_dialects_divisor(dialect: Dialect, n: int, expected: float) -> None:
    """The variance to store is n / (n - 1) times the biased one, or just that; one value has no such factor."""
    assert stored_variance(column(2.0), n, dialect) == expected
