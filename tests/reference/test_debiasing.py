"""Debiased averages: what they are, and what their rounding may do."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnconform_reference import BatchNorm, convert_statistics
from bnconform_reference.debiasing import debiased_momentum, debiased_running_bound
from bnconform_reference.dialect import EQUINOX, FLAX, HAIKU, PYTORCH, Dialect
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import UNIT_ROUNDOFF, Precision

SINGLE, DOUBLE = (Precision.for_dtype(dtype, "TT") for dtype in ("float32", "float64"))
WEIGHTS = st.floats(2.0**-20, 1.0, width=32)


def test_first_batch_replaces_and_later_ones_weigh_less() -> None:
    """The k-th batch weighs m / (1 - (1 - m)^k): 1 at first, m in the end."""
    assert [debiased_momentum(0.5, k) for k in (1, 2, 3)] == [1.0, 0.5 / 0.75, 0.5 / 0.875]
    assert debiased_momentum(0.25, 1000) == 0.25
    assert [debiased_momentum(1.0, k) for k in (1, 2)] == [1.0, 1.0]
    assert [debiased_momentum(0.0, k) for k in (1, 2)] == [1.0, 0.5]


@given(WEIGHTS, st.integers(1, 50))
def test_weights_are_those_of_the_sum_divided(m: float, k: int) -> None:
    """In exact arithmetic m / (1 - (1 - m)^k) is what comes out, to four roundings."""
    exact = Fraction(m) / (1 - (1 - Fraction(m)) ** k)
    assert abs(Fraction(debiased_momentum(m, k)) - exact) <= 4 * Fraction(UNIT_ROUNDOFF["float64"]) * exact


def debiased(batches: list[np.ndarray], m: np.floating, power: str) -> list[np.ndarray]:
    """The averages after each batch in m's dtype, as Haiku computes them; the power by logarithm or by products."""
    one = m.dtype.type(1)
    decay, hidden, found, product = one - m, np.zeros_like(batches[0]), [], one
    for k, batch in enumerate(batches, 1):
        hidden = hidden * decay + batch * (one - decay)
        product = product * decay
        with np.errstate(divide="ignore"):
            by_logarithm = np.exp(m.dtype.type(k) * np.log(decay))
        found.append(hidden / (one - (product if power == "products" else by_logarithm)))
    return found


@given(WEIGHTS, st.integers(0, 99), st.sampled_from(["products", "logarithm"]))
def test_bound_covers_single_precision(m: float, seed: int, power: str) -> None:
    """Step by step the average in float32 is within its allowed error of the exact step from the one before."""
    rng = np.random.default_rng(seed)
    batches = [(rng.standard_normal(4) * 10 ** rng.uniform(-3, 3)).astype(np.float32) for _ in range(8)]
    averages = debiased(batches, np.float32(m), power)
    old, none = np.zeros((4, 1)), np.zeros((4, 1))
    for k, (batch, average) in enumerate(zip(batches, averages, strict=True), 1):
        column = batch.astype(np.float64)[:, None]
        expected = old + debiased_momentum(m, k) * (column - old)
        allowed = debiased_running_bound(old, column, none, m, k, SINGLE)
        old = average.astype(np.float64)[:, None]
        assert (np.abs(old - expected) <= allowed).all()


def test_bound_tells_debiased_from_plain() -> None:
    """Over the first batches the plain average, and the one whose start is not 0, are outside the bound."""
    old, batch, none = np.full((1, 1), 2.0), np.full((1, 1), 5.0), np.zeros((1, 1))
    for k in (1, 2, 10):
        expected = old + debiased_momentum(0.1, k) * (batch - old)
        allowed = debiased_running_bound(old, batch, none, 0.1, k, SINGLE)
        assert abs(old + 0.1 * (batch - old) - expected) > 1000 * allowed
        assert abs(expected + 0.9**k / (1 - 0.9**k) - expected) > 1000 * allowed


def trained(dialect: Dialect, batches: list[np.ndarray]) -> BatchNorm:
    """A reference layer that has seen the batches, each with weight 1/4."""
    layer = BatchNorm(2, momentum=0.25, dialect=dialect)
    for x in batches:
        layer(x)
    return layer


def test_reference_layer_debiases() -> None:
    """The reference layer's first batch replaces, the second weighs 4/7, and nothing of the start is left."""
    batches = [np.array([[0.0, 1.0], [2.0, 4.0]]), np.array([[1.0, 1.5], [4.0, 2.0]])]
    layer = trained(EQUINOX, batches[:1])
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([1.0, 2.5], [1.0, 2.25])
    again = trained(EQUINOX, batches)
    np.testing.assert_array_max_ulp(again.running_mean, np.array([1.0, 2.5]) + 4 / 7 * np.array([1.5, -0.75]), 2)
    assert trained(HAIKU, batches).running_var.tolist() == again.running_var.tolist()


@pytest.mark.parametrize("source", [FLAX, PYTORCH, HAIKU, EQUINOX])
@pytest.mark.parametrize("target", [FLAX, PYTORCH, HAIKU, EQUINOX])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_conversion_gives_what_the_target_would_have(source: Dialect, target: Dialect, steps: int) -> None:
    """Converted statistics are those of a layer of the other dialect, to the rounding of a division by the weight."""
    rng = np.random.default_rng(steps)
    batches = [rng.integers(-8, 9, (2, 2)) / 4 for _ in range(steps)]
    old, new = trained(source, batches), trained(target, batches)
    momentum = 0.25 if source.momentum_weighs == "new" else 0.75
    found = convert_statistics(
        old.running_mean,
        old.running_var,
        source=source,
        target=target,
        momentum=momentum,
        eps=1e-5,
        n=2,
        steps=steps,
    )
    largest = np.full((2, 1), 8.0)  # of x squared, doubled
    step = running_bound(largest, largest, DOUBLE.gamma(7) * largest, 1.0, DOUBLE)[:, 0]
    allowed = 3 * (steps + 2) * step / 0.25  # the weight of the batches is at least that of one
    assert (np.abs(found.running_mean - new.running_mean) <= allowed).all()
    assert (np.abs(found.running_var - new.running_var) <= allowed).all()


@pytest.mark.parametrize(("source", "target"), [(FLAX, replace(FLAX, debiased=True)), (EQUINOX, FLAX)])
def test_conversion_needs_the_number_of_steps(source: Dialect, target: Dialect) -> None:
    """Where only one side debiases, the number of batches has to be told."""
    with pytest.raises(ValueError, match="debiases its statistics; pass steps"):
        convert_statistics(np.zeros(2), np.ones(2), source=source, target=target, momentum=0.9, eps=1e-5)
