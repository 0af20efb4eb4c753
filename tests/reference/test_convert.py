"""Converted statistics are those that a layer of the other dialect has after the same batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnconform_reference import BatchNorm, convert_statistics
from bnconform_reference.dialect import FAMILIES, FLAX, KERAS, PYTORCH, TENSORFLOW_FUSED, Dialect
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import Precision

EPS = 1e-5
ZERO_START = replace(FLAX, initial_variance=0.0, initial_mean=0.5)
DIALECTS = [*FAMILIES.values(), ZERO_START]
DOUBLE = Precision.for_dtype("float64", "TT")


def own(weight: float | None, dialect: Dialect) -> float | None:
    """A weight of the new batch as momentum in a dialect's own sense."""
    return weight if weight is None or dialect.momentum_weighs == "new" else 1 - weight


def trained(dialect: Dialect, batches: list[np.ndarray], weight: float | None) -> BatchNorm:
    """A layer that has seen the batches."""
    layer = BatchNorm(2, momentum=weight, dialect=dialect)
    for x in batches:
        layer(x)
    return layer


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_conversion_is_exact_where_arithmetic_is(source: Dialect, target: Dialect, steps: int) -> None:
    """On quarters, n = 2 and weight 1/4 every sum and product is exact: converted and trained are equal."""
    rng = np.random.default_rng(steps)
    batches = [rng.integers(-8, 9, (2, 2)) / 4 for _ in range(steps)]
    old, new = (trained(dialect, batches, 0.25) for dialect in (source, target))
    found = convert_statistics(
        old.running_mean,
        old.running_var,
        source=source,
        target=target,
        momentum=own(0.25, source),
        eps=EPS,
        n=2,
        steps=steps,
    )
    assert found.running_mean.tolist() == new.running_mean.tolist()
    assert found.running_var.tolist() == new.running_var.tolist()
    assert found.momentum == own(0.25, target)
    assert (found.exact, found.eps) == (True, EPS)


@given(
    st.sampled_from(DIALECTS),
    st.sampled_from(DIALECTS),
    st.integers(2, 40),
    st.integers(1, 6),
    st.floats(0.01, 1.0),
    st.integers(0, 99),
)
def test_conversion_is_within_the_rounding_of_training(
    source: Dialect, target: Dialect, n: int, steps: int, weight: float, seed: int
) -> None:
    """For any n, weight and number of steps, what is left is the rounding of the two layers' own steps."""
    rng = np.random.default_rng(seed)
    batches = [rng.standard_normal((n, 2)) for _ in range(steps)]
    old, new = (trained(dialect, batches, weight) for dialect in (source, target))
    momentum = own(weight, source)
    found = convert_statistics(
        old.running_mean, old.running_var, source=source, target=target, momentum=momentum, eps=EPS, n=n, steps=steps
    )
    # A step's rounding passes on with a weight of at most 1, to the target with n / (n - 1) <= 2; no value here
    # exceeds `largest`, and the conversion is two further such steps. The batch's own variance errs by gamma(n + 5).
    largest = np.full((2, 1), max(1.0, *(float(np.square(x).max()) for x in batches)) * 2)
    batch_error = DOUBLE.gamma(n + 5) * 2 * largest
    allowed = (3 * (steps + 2) * running_bound(largest, largest, batch_error, 1.0, DOUBLE))[:, 0]
    assert (np.abs(found.running_mean - new.running_mean) <= allowed).all()
    assert (np.abs(found.running_var - new.running_var) <= allowed).all()


def test_simple_formula_leaves_the_share_of_the_initial_value() -> None:
    """Without the number of steps the result is off by (1 - m)^k / n, and says that it is not exact."""
    batches = [np.array([[0.0, 1.0], [2.0, 4.0]]), np.array([[1.0, 1.5], [4.0, 2.0]])]
    old, new = trained(PYTORCH, batches, 0.25), trained(KERAS, batches, 0.25)
    found = convert_statistics(
        old.running_mean, old.running_var, source=PYTORCH, target=KERAS, momentum=0.25, eps=EPS, n=2
    )
    assert not found.exact
    assert (new.running_var - found.running_var).tolist() == [0.75**2 / 2] * 2
    assert found.running_mean.tolist() == new.running_mean.tolist()


def test_cumulative_average_forgets_the_initial_value() -> None:
    """With momentum None nothing of the initial value is left after a step, and the factor is all there is."""
    biased = replace(PYTORCH, stored_variance="biased")
    batches = [np.array([[0.0, 1.0], [2.0, 4.0]]), np.array([[1.0, 1.5], [4.0, 2.0]])]
    old, new = trained(PYTORCH, batches, None), trained(biased, batches, None)
    found = convert_statistics(
        old.running_mean, old.running_var, source=PYTORCH, target=biased, momentum=None, eps=EPS, n=2, steps=2
    )
    assert found.momentum is None
    assert found.running_var.tolist() == new.running_var.tolist()


def test_sizes_may_differ_between_channels() -> None:
    """n may be one number a channel; n = 1 has variance 0 in either dialect."""
    var = np.array([3.0, 3.0, 3.0])
    found = convert_statistics(
        np.zeros(3), var, source=PYTORCH, target=KERAS, momentum=0.1, eps=EPS, n=np.array([3, 1, 2])
    )
    assert found.running_var.tolist() == [2.0, 3.0, 1.5]


def test_same_dialect_changes_nothing() -> None:
    """Between dialects that store alike the numbers stay, bit for bit, whatever n; they are copies."""
    mean, var = np.array([0.1, 0.2]), np.array([0.3, 0.7])
    found = convert_statistics(mean, var, source=PYTORCH, target=TENSORFLOW_FUSED, momentum=0.1, eps=EPS)
    assert found.exact
    assert (found.running_mean.tolist(), found.running_var.tolist()) == (mean.tolist(), var.tolist())
    assert not np.shares_memory(found.running_var, var)
    assert not np.shares_memory(found.running_mean, mean)


def test_what_stays_different_is_told() -> None:
    """Another eps and other conventions at the edges are lines of the result, never printed."""
    found = convert_statistics(
        np.zeros(1), np.ones(1), source=PYTORCH, target=KERAS, momentum=0.1, eps=1e-5, target_eps=1e-3, n=8
    )
    assert found.differences == (
        "y: the source adds eps 1e-05 to the variance, the target 0.001; build it with 1e-05",
        "training on one value per channel: raises, then zero_variance",
    )


BAD = {
    "pass n": {"n": None},
    "whole numbers from 1": {"n": 0},
    "whole numbers": {"n": 2.5},
    "pass the number of training batches": {"steps": -1},
    r"in \[0, 1\]": {"momentum": 1.5},
    "momentum is None": {"momentum": None},
    "pass steps": {"target": ZERO_START},
}


@pytest.mark.parametrize("piece", BAD)
def test_what_cannot_be_converted_is_refused(piece: str) -> None:
    """What is missing or cannot be is one line that says what to pass."""
    arguments = {"source": PYTORCH, "target": KERAS, "momentum": 0.1, "eps": EPS, "n": 4} | BAD[piece]
    with pytest.raises(ValueError, match=piece) as refusal:
        convert_statistics(np.zeros(1), np.ones(1), **arguments)
    assert "\n" not in str(refusal.value)
