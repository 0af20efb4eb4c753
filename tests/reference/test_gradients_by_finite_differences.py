"""Gradients against differences of the forward definition at 80 digits: no formula of calculus is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import mpmath
import numpy as np
import pytest

from bnconform_reference.certificate import certify_backward, certify_forward
from bnconform_reference.definition import (
    Gradients,
    Normalized,
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import Array, DoubleDouble, Real
from bnconform_reference.error_bounds import GradientBounds

Numbers: TypeAlias = list[mpmath.mpf]

DIGITS = 80
# A central difference errs by h^2 times a third derivative and by 10^-80 / h from rounding: 10^-50 and 10^-55 here,
# both as nothing beside a certificate in units of U^2 = 10^-32.
STEP = mpmath.mpf(10) ** -25
CASES = [
    pytest.param(n, ratio, eps, id=f"n={n} mean/sd={ratio:g} eps={eps:g}")
    for n in (2, 3, 8)
    for ratio in (0.0, 1e3, 1e8)
    for eps in (1e-5, 1.0)
]
RUNNING = (0.5, 2.25)


def loss(x: Numbers, weight: mpmath.mpf, bias: mpmath.mpf, dy: Numbers, eps: float, *, training: bool) -> mpmath.mpf:
    """sum dy y, straight from Algorithms 1 and 2 of the paper."""
    if training:
        mean = mpmath.fsum(x) / len(x)
        variance = mpmath.fsum((v - mean) ** 2 for v in x) / len(x)
    else:
        mean, variance = map(mpmath.mpf, RUNNING)
    return mpmath.fsum(
        d * (weight * (v - mean) / mpmath.sqrt(variance + eps) + bias) for d, v in zip(dy, x, strict=True)
    )


def derivative(function: Callable[[mpmath.mpf], mpmath.mpf], at: mpmath.mpf) -> mpmath.mpf:
    return (function(at + STEP) - function(at - STEP)) / (2 * STEP)


def data(n: int, ratio: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(n)
    return rng.standard_normal(n) + ratio, rng.standard_normal(n)


def oracle(x: Array, dy: Array, eps: float, *, training: bool) -> tuple[Gradients, GradientBounds]:
    x, dy, weight, bias = x[None], dy[None], np.array([[1.5]]), np.array([[0.25]])
    forward: Normalized
    if training:
        forward = forward_training(x, weight, bias, eps, exact=True)
        gradients = backward_training(dy, weight, forward, exact=True)
    else:
        mean, variance = (np.array([[v]]) for v in RUNNING)
        forward = forward_inference(x, weight, bias, mean, variance, eps, exact=True)
        gradients = backward_inference(dy, weight, forward, exact=True)
    certificate = certify_forward(x, weight, bias, eps, forward, training=training)
    return gradients, certify_backward(x, dy, weight, forward, gradients, certificate, training=training)


def assert_within(actual: Real, index: int, expected: mpmath.mpf, certificate: Array) -> None:
    __tracebackhide__ = True
    assert isinstance(actual, DoubleDouble)
    value = mpmath.mpf(float(actual.hi[0, index])) + mpmath.mpf(float(actual.lo[0, index]))
    assert abs(value - expected) <= certificate[0, index]


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("n", "ratio", "eps"), CASES)
def test_dx_is_the_derivative_by_x(n: int, ratio: float, eps: float, training: bool) -> None:
    """dx is how sum dy y changes with each x, through the statistics too in training."""
    x, dy = data(n, ratio)
    gradients, certificate = oracle(x, dy, eps, training=training)
    with mpmath.workdps(DIGITS):
        xs, dys = ([mpmath.mpf(v) for v in values.tolist()] for values in (x, dy))
        for i in range(n):

            def along(v: mpmath.mpf, i: int = i) -> mpmath.mpf:
                moved = [*xs[:i], v, *xs[i + 1 :]]
                return loss(moved, mpmath.mpf(1.5), mpmath.mpf(0.25), dys, eps, training=training)

            assert_within(gradients.dx, i, derivative(along, xs[i]), certificate.dx)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("n", "ratio", "eps"), CASES)
def test_dweight_and_dbias_are_the_derivatives_by_weight_and_bias(
    n: int, ratio: float, eps: float, training: bool
) -> None:
    """dweight and dbias are how sum dy y changes with weight and bias."""
    x, dy = data(n, ratio)
    gradients, certificate = oracle(x, dy, eps, training=training)
    with mpmath.workdps(DIGITS):
        xs, dys = ([mpmath.mpf(v) for v in values.tolist()] for values in (x, dy))
        by_weight = derivative(lambda w: loss(xs, w, mpmath.mpf(0.25), dys, eps, training=training), mpmath.mpf(1.5))
        by_bias = derivative(lambda b: loss(xs, mpmath.mpf(1.5), b, dys, eps, training=training), mpmath.mpf(0.25))
        assert_within(gradients.dweight, 0, by_weight, certificate.dweight)
        assert_within(gradients.dbias, 0, by_bias, certificate.dbias + np.finfo(np.float64).tiny)
