"""Second-order gradients and forward mode against differences of the forward definition, and against torch.

The contraction L = sum ddx dx + ddweight dweight + ddbias dbias is the derivative of sum dy y along (ddx, ddweight,
ddbias), and its gradients are mixed second differences of sum dy y: no formula of calculus is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mpmath
import numpy as np
import pytest
from test_gradients_by_finite_differences import assert_within, derivative, loss

from bnconform_reference.certificate import certify_forward
from bnconform_reference.definition import backward_training, forward_inference, forward_training
from bnconform_reference.double_double import Array, high
from bnconform_reference.layer import BatchNorm
from bnconform_reference.precision import Precision
from bnconform_reference.second_order import (
    Cotangents,
    SecondOrder,
    double_backward_inference,
    double_backward_training,
    jvp_training,
)
from bnconform_reference.second_order_bounds import SecondOrderBounds, certify_second_order

Numbers: TypeAlias = list[mpmath.mpf]
Loss: TypeAlias = Callable[[Numbers, mpmath.mpf, Numbers], mpmath.mpf]

# Two steps of 10^-25 err by 10^-50, and by 10^-160 / 10^-50 from rounding: nothing beside U^2 = 10^-32.
DIGITS = 160
RUNNING = (0.5, 2.25)
WEIGHT, BIAS, DDWEIGHT, DDBIAS = 1.5, 0.25, -0.75, 1.25
CASES = [
    pytest.param(n, ratio, eps, id=f"n={n} mean/sd={ratio:g} eps={eps:g}")
    for n in (2, 3, 8)
    for ratio in (0.0, 1e3, 1e8)
    for eps in (1e-5, 1.0)
]
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])


def data(n: int, ratio: float) -> tuple[Array, Array, Array]:
    """x, dy and ddx of one channel, shape (1, n)."""
    x, dy, ddx = np.random.default_rng(n).standard_normal((3, 1, n))
    return x + ratio, dy + 0.5, ddx + x


def column(value: float) -> Array:
    return np.array([[value]])


def oracle(n: int, ratio: float, eps: float, *, training: bool) -> tuple[SecondOrder, SecondOrderBounds]:
    """The exact double backward pass and its certificate."""
    x, dy, ddx = data(n, ratio)
    weight, bias, cotangents = column(WEIGHT), column(BIAS), Cotangents(ddx, column(DDWEIGHT), column(DDBIAS))
    if training:
        forward = forward_training(x, weight, bias, eps, exact=True)
        found = double_backward_training(cotangents, dy, weight, forward, exact=True)
    else:
        mean, variance = map(column, RUNNING)
        forward = forward_inference(x, weight, bias, mean, variance, eps, exact=True)
        found = double_backward_inference(cotangents, dy, weight, forward, exact=True)
    certificate = certify_forward(x, weight, bias, eps, forward, training=training)
    return found, certify_second_order(x, dy, weight, cotangents, forward, certificate, training=training)


def contraction(n: int, ratio: float, eps: float, *, training: bool) -> tuple[Loss, Numbers, Numbers]:
    """L as a function of x, weight and dy, by a central difference of sum dy y; and x and dy."""
    xs, dys, ddxs = ([mpmath.mpf(v) for v in values[0].tolist()] for values in data(n, ratio))

    def contracted(x: Numbers, weight: mpmath.mpf, dy: Numbers) -> mpmath.mpf:
        def along(t: mpmath.mpf) -> mpmath.mpf:
            moved = [v + t * d for v, d in zip(x, ddxs, strict=True)]
            return loss(moved, weight + t * DDWEIGHT, BIAS + t * DDBIAS, dy, eps, training=training)

        return derivative(along, mpmath.mpf(0))

    return contracted, xs, dys


def replaced(values: Numbers, i: int, value: mpmath.mpf) -> Numbers:
    return [*values[:i], value, *values[i + 1 :]]


@MODES
@pytest.mark.parametrize(("n", "ratio", "eps"), CASES)
def test_dx_is_the_second_derivative_by_x(n: int, ratio: float, eps: float, training: bool) -> None:
    """dx of the double backward pass is how the contraction of the first one changes with each x."""
    found, certificate = oracle(n, ratio, eps, training=training)
    with mpmath.workdps(DIGITS):
        contracted, xs, dys = contraction(n, ratio, eps, training=training)
        for i in range(n):
            expected = derivative(lambda v, i=i: contracted(replaced(xs, i, v), mpmath.mpf(WEIGHT), dys), xs[i])
            assert_within(found.dx, i, expected, certificate.dx)


@MODES
@pytest.mark.parametrize(("n", "ratio", "eps"), CASES)
def test_ddy_and_dweight_are_the_derivatives_by_dy_and_weight(n: int, ratio: float, eps: float, training: bool) -> None:
    """ddy and dweight are how the contraction changes with each dy and with weight."""
    found, certificate = oracle(n, ratio, eps, training=training)
    with mpmath.workdps(DIGITS):
        contracted, xs, dys = contraction(n, ratio, eps, training=training)
        by_weight = derivative(lambda w: contracted(xs, w, dys), mpmath.mpf(WEIGHT))
        assert_within(found.dweight, 0, by_weight, certificate.dweight)
        for i in range(n):
            expected = derivative(lambda v, i=i: contracted(xs, mpmath.mpf(WEIGHT), replaced(dys, i, v)), dys[i])
            assert_within(found.ddy, i, expected, certificate.ddy)


@pytest.mark.parametrize("n", [2, 5, 1000])
def test_forward_mode_is_the_transpose_of_backward(n: int) -> None:
    """sum dy (J v) = sum dx ddx + dweight ddweight + dbias ddbias, up to the rounding of float64 sums."""
    x, dy, ddx = data(n, 1.0)
    weight, tangents = column(WEIGHT), Cotangents(ddx, column(DDWEIGHT), column(DDBIAS))
    forward = forward_training(x, weight, column(BIAS), 1e-3)
    gradients = backward_training(dy, weight, forward)
    forward_side = np.sum(dy * high(jvp_training(tangents, weight, forward)))
    products = [dy * ddx, high(gradients.dx) * ddx, high(gradients.dweight) * DDWEIGHT, high(gradients.dbias) * DDBIAS]
    scale = sum(np.sum(np.abs(product)) for product in products)
    reverse_side = sum(np.sum(product) for product in products[1:])
    assert abs(forward_side - reverse_side) <= Precision.for_dtype("float64", "NT").gamma(8 * n) * scale


@pytest.mark.parametrize("missing", ["ddx", "ddweight", "ddbias"])
def test_a_cotangent_that_is_absent_is_zero(missing: str) -> None:
    """None in place of a cotangent means zeros."""
    given: dict[str, Any] = {"ddx": data(4, 1.0)[2], "ddweight": column(DDWEIGHT), "ddbias": column(DDBIAS)}
    absent = Cotangents.of((1, 4), **(given | {missing: None}))
    assert not getattr(absent, missing).any()
    assert getattr(absent, missing).shape == given[missing].shape


@pytest.mark.parametrize("asked", ["double_backward", "jvp"])
def test_layer_needs_a_call_first(asked: str) -> None:
    """Without a forward call on any value there is nothing to differentiate, and the message says so."""
    vectors = (np.zeros((2, 3)), np.zeros(3), np.zeros(3))
    arguments = (*vectors, np.zeros((2, 3))) if asked == "double_backward" else vectors
    with pytest.raises(ValueError, match=f"{asked} needs a forward call"):
        getattr(BatchNorm(3), asked)(*arguments)
