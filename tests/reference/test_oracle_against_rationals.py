"""The double-double oracle against exact rational arithmetic, and its certificate against both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rational_oracle import Channel, error, exact_channel

from bnconform_reference.certificate import certify_backward, certify_forward
from bnconform_reference.definition import (
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import Array, DoubleDouble, Real
from bnconform_reference.error_bounds import (
    inference_backward_bounds,
    inference_forward_bounds,
    training_backward_bounds,
    training_forward_bounds,
)
from bnconform_reference.precision import DtypeName, Precision

# What the judge demands of an expected value before it trusts it (certificate.py).
TRUSTED = 1e-3
EPS = [1e-12, 1e-5, 1.0]


@dataclass(frozen=True)
class Case:
    """One channel: x and dy of shape (n,), and given statistics for inference."""

    x: Array
    dy: Array
    eps: float
    weight: float = 1.25
    bias: float = -0.375
    running: tuple[float, float] | None = None


@dataclass(frozen=True)
class Judged:
    """Observed error, certificate and allowed error of one quantity at the chosen elements."""

    error: Array
    certificate: Array
    allowed: Array


def judge(case: Case, dtype: DtypeName, *, exact: bool = True) -> dict[str, Judged]:
    """The oracle on `case`, allowed errors being those of grade TT in `dtype`."""
    n = case.x.size
    elements = sorted({0, n - 1, int(np.argmax(np.abs(case.x))), int(np.argmin(np.abs(case.x))), n // 2, n // 3})
    x, dy = case.x[None], case.dy[None]
    weight, bias = np.array([[case.weight]]), np.array([[case.bias]])
    precision = Precision.for_dtype(dtype, "TT")
    if case.running is None:
        forward = forward_training(x, weight, bias, case.eps, exact=exact)
        gradients = backward_training(dy, weight, forward, exact=exact)
        allowed = training_forward_bounds(x, weight, bias, case.eps, forward, precision)
        backward = training_backward_bounds(x, dy, weight, forward, gradients, allowed, precision)
    else:
        mean, variance = (np.array([[v]]) for v in case.running)
        forward = forward_inference(x, weight, bias, mean, variance, case.eps, exact=exact)
        gradients = backward_inference(dy, weight, forward, exact=exact)
        allowed = inference_forward_bounds(x, weight, bias, case.eps, forward, precision)
        backward = inference_backward_bounds(dy, weight, forward, gradients, allowed, precision)
    training = case.running is None
    certificate = certify_forward(x, weight, bias, case.eps, forward, training=training)
    certificate_backward = certify_backward(x, dy, weight, forward, gradients, certificate, training=training)
    truth: Channel = exact_channel(
        case.x, case.dy, case.weight, case.bias, case.eps, elements=elements, running=case.running
    )
    results = {}
    for name in ("mean", "variance", "invstd", "y", "dweight", "dbias", "dx"):
        of_gradients = name in ("dweight", "dbias", "dx")
        value: Real = getattr(gradients if of_gradients else forward, name)
        terms = getattr(truth, name)
        chosen = elements if name in ("y", "dx") else [0]
        picked = (
            DoubleDouble(value.hi[0, chosen], value.lo[0, chosen])
            if isinstance(value, DoubleDouble)
            else (value[0, chosen])
        )
        results[name] = Judged(
            error(picked, terms if isinstance(terms, list) else [terms]),
            getattr(certificate_backward if of_gradients else certificate, name)[0, chosen],
            getattr(backward if of_gradients else allowed, name)[0, chosen],
        )
    return results


def check_oracle(case: Case) -> None:
    """Error below certificate, certificate below a thousandth of what float64 at grade TT may err."""
    for name, judged in judge(case, "float64").items():
        assert np.all(judged.error <= judged.certificate), f"{name}: the certificate is violated"
        assert np.all(judged.certificate <= TRUSTED * judged.allowed), f"{name}: the certificate is too wide"


def rng_for(*key: int) -> np.random.Generator:
    return np.random.default_rng(list(key))


@pytest.mark.parametrize("eps", [0.0, *EPS])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e3, 1e6, 1e10])
@pytest.mark.parametrize("n", [2, 3, 7, 64, 257])
def test_training_is_certified_at_any_mean(n: int, ratio: float, eps: float) -> None:
    """Training results are within a certificate that stays small however large |mean| / sd is."""
    rng = rng_for(n, int(ratio))
    check_oracle(Case(rng.standard_normal(n) + ratio, rng.standard_normal(n), eps))


@pytest.mark.parametrize("ratio", [1.0, 1e10])
@pytest.mark.parametrize("n", [99_999, 100_000])
def test_training_is_certified_on_many_values(n: int, ratio: float) -> None:
    """A hundred thousand values, a power of two or not, leave the certificate valid and small."""
    rng = rng_for(n)
    check_oracle(Case(np.sort(rng.standard_normal(n)) + ratio, rng.standard_normal(n), 1e-5))


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4 + 0.1, -1e10 / 3, 5e-324])
@pytest.mark.parametrize("n", [1, 2, 3, 49])
def test_constant_channel_is_certified(n: int, value: float, eps: float) -> None:
    """A channel without spread, even of a value whose mean rounds, is certified as soon as eps is not 0."""
    check_oracle(Case(np.full(n, value), rng_for(n).standard_normal(n), eps))


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("value", [0.1, 1e4 + 0.1])
def test_constant_channel_is_certified_where_the_gradient_sums_to_zero(value: float, eps: float) -> None:
    """With xhat = 0 and sum dy = 0 nothing is left of dweight but rounding, which the bounds allow for."""
    check_oracle(Case(np.full(6, value), np.array([1.0, 0.3, 0.7, -1.0, -0.3, -0.7]), eps))


@pytest.mark.parametrize("distance", [2.0**-52, 2.0**-30, 0.5])
@pytest.mark.parametrize("eps", EPS)
def test_inference_is_certified_with_a_negative_running_variance(eps: float, distance: float) -> None:
    """Adding eps to a running variance that nearly cancels it loses nothing that the certificate ignores."""
    rng = rng_for(7)
    check_oracle(Case(rng.standard_normal(9), rng.standard_normal(9), eps, running=(0.25, -eps * (1 - distance))))


@pytest.mark.parametrize("eps", [0.0, *EPS])
@pytest.mark.parametrize("ratio", [0.0, 1e6, 1e10])
@pytest.mark.parametrize("n", [1, 2, 3, 100])
def test_inference_is_certified_at_any_mean(n: int, ratio: float, eps: float) -> None:
    """Inference results are within their certificate, which is small, for statistics near the data or not."""
    rng = rng_for(n, int(ratio))
    check_oracle(Case(rng.standard_normal(n) + ratio, rng.standard_normal(n), eps, running=(ratio / 3, 0.7)))


@pytest.mark.parametrize("spread", [30.0, 100.0, 140.0])
@pytest.mark.parametrize("n", [2, 5, 33])
def test_huge_ranges_within_a_channel_are_certified(n: int, spread: float) -> None:
    """Values and gradients that span hundreds of decades keep within their certificate."""
    rng = rng_for(n)
    x, dy = (rng.standard_normal(n) * 10.0 ** rng.uniform(-spread, spread, n) for _ in range(2))
    check_oracle(Case(x, dy, 1e-5))


@pytest.mark.parametrize("eps", [0.0, *EPS])
@pytest.mark.parametrize("scale", [1e-130, 1e-145])
def test_small_values_are_certified(scale: float, eps: float) -> None:
    """Squares whose low words underflow are within the certificate."""
    rng = rng_for(3)
    check_oracle(Case(rng.standard_normal(20) * scale, rng.standard_normal(20), eps))


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("scale", [1e-152, 1e-160, 1e-300, 1e-322])
def test_values_with_vanishing_squares_are_certified(scale: float, eps: float) -> None:
    """Subnormal squares and subnormal values are within the certificate as soon as eps is not 0."""
    rng = rng_for(3)
    check_oracle(Case(rng.standard_normal(20) * scale, rng.standard_normal(20) * scale, eps))


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e150])
@pytest.mark.parametrize("direction", ["orthogonal", "along x", "constant"])
def test_special_gradients_are_certified(direction: str, size: float) -> None:
    """Gradients that dx cancels entirely, or not at all, are within the certificate at any size."""
    x = np.array([-3.0, -1.0, 1.0, 3.0]) + 1e6
    dy = {"orthogonal": [1.0, -1.0, -1.0, 1.0], "along x": [-3.0, -1.0, 1.0, 3.0], "constant": [1.0] * 4}[direction]
    check_oracle(Case(x, size * np.array(dy), 1e-5))


@given(
    x=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=12),
    dy=st.lists(st.floats(-1e12, 1e12), min_size=12, max_size=12),
    eps=st.floats(1e-12, 1.0),
    weight=st.floats(-1e6, 1e6),
    bias=st.floats(-1e6, 1e6),
)
def test_training_is_certified_on_any_data(
    x: list[float], dy: list[float], eps: float, weight: float, bias: float
) -> None:
    """No channel within the range of ordinary data breaks the certificate."""
    check_oracle(Case(np.array(x), np.array(dy[: len(x)]), eps, weight, bias))


@given(
    x=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=12),
    dy=st.lists(st.floats(-1e12, 1e12), min_size=12, max_size=12),
    eps=st.floats(1e-12, 1.0),
    mean=st.floats(-1e12, 1e12),
    variance=st.floats(0, 1e12),
)
def test_inference_is_certified_on_any_data(
    x: list[float], dy: list[float], eps: float, mean: float, variance: float
) -> None:
    """No channel and no statistics within the range of ordinary data break the certificate."""
    check_oracle(Case(np.array(x), np.array(dy[: len(x)]), eps, running=(mean, variance)))


def test_certificate_admits_what_it_does_not_know() -> None:
    """Where the exact invstd is unbounded, the certificate is infinite: not NaN, not small, and no warning."""
    x, column = np.full((1, 3), 0.1), np.ones((1, 1))
    forward = forward_training(x, column, column, 0.0, exact=True)
    certificate = certify_forward(x, column, column, 0.0, forward, training=True)
    assert np.all(np.isinf(certificate.invstd))
    assert np.all(np.isinf(certificate.y))


@pytest.mark.parametrize("eps", [0.0, *EPS])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("n", [2, 3, 100, 5000])
def test_float64_is_exact_enough_to_judge_float32(n: int, ratio: float, eps: float) -> None:
    """On float32 data the plain float64 formulas err by less than a thousandth of what float32 may."""
    rng = rng_for(n, int(ratio))
    # Whole numbers below 2^24 are float32 values with a spread at every ratio.
    x, dy = np.round(rng.standard_normal((2, n)) * 8 + [[8 * ratio], [0.0]])
    for name, judged in judge(Case(x, dy, eps), "float32", exact=False).items():
        assert np.all(judged.error <= TRUSTED * judged.allowed), name


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("value", [0.1, 1e4 + 0.1, -1e10 / 3])
@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_float64_is_exact_enough_to_judge_float32_on_a_constant(n: int, value: float, eps: float) -> None:
    """So they do on a channel without spread, whose mean may round in float64 too."""
    x = np.full(n, value, np.float32).astype(np.float64)
    dy = rng_for(n).standard_normal(n).astype(np.float32).astype(np.float64)
    for name, judged in judge(Case(x, dy, eps), "float32", exact=False).items():
        assert np.all(judged.error <= TRUSTED * judged.allowed), name


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_float64_is_exact_enough_to_judge_float32_in_inference(n: int, eps: float) -> None:
    """So they do in inference."""
    rng = rng_for(n)
    x, dy = rng.standard_normal((2, n)).astype(np.float32).astype(np.float64)
    for name, judged in judge(Case(x, dy, eps, running=(100.0, 0.01)), "float32", exact=False).items():
        assert np.all(judged.error <= TRUSTED * judged.allowed), name
