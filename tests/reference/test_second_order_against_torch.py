"""Second-order gradients and forward mode of the NumPy layer and of torch, which share nothing, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from bnconform_reference import BatchNorm
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.definition import forward_inference, forward_training
from bnconform_reference.double_double import Array, distance
from bnconform_reference.error_bounds import inference_forward_bounds, training_forward_bounds
from bnconform_reference.precision import Precision
from bnconform_reference.second_order import (
    Cotangents,
    SecondOrder,
    double_backward_inference,
    double_backward_training,
)
from bnconform_reference.second_order_bounds import SecondOrderBounds, second_order_bounds

torch = pytest.importorskip("torch")

SHAPE = (4, 3, 2, 5)
# Ours sums pairwise; torch does not say how, so any order and any stable variance are granted to it.
OURS = Precision.for_dtype("float64", "TT")
TORCHS = Precision.for_dtype("float64", "NW")
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
RATIO = pytest.mark.parametrize("ratio", [0.0, 1e3, 1e6])


class Problem:
    """A layer of each kind with the same parameters and statistics, data, and vectors to contract with."""

    def __init__(self, ratio: float, training: bool) -> None:
        rng = np.random.default_rng(5)
        self.training = training
        self.x, self.dy, self.ddx = rng.standard_normal((3, *SHAPE))
        self.x += ratio
        self.ddweight, self.ddbias = rng.standard_normal((2, SHAPE[1]))
        self.layer = BatchNorm(SHAPE[1])
        self.module = torch.nn.BatchNorm2d(SHAPE[1], dtype=torch.float64).train(training)
        for name in ("weight", "bias", "running_mean", "running_var"):
            setattr(self.layer, name, values := rng.uniform(0.5, 2.0, SHAPE[1]))
            with torch.no_grad():
                getattr(self.module, name).copy_(torch.from_numpy(values))
        self.statistics = self.layer.running_mean[:, None], self.layer.running_var[:, None]
        (self.layer.train() if training else self.layer.eval())(self.x)

    def exact(self, precision: Precision) -> tuple[SecondOrder, SecondOrderBounds]:
        """The oracle's values and what rounding may do to them."""
        x, dy = channel_rows(self.x), channel_rows(self.dy)
        weight, bias, eps = self.layer.weight[:, None], self.layer.bias[:, None], self.layer.eps
        cotangents = Cotangents(channel_rows(self.ddx), self.ddweight[:, None], self.ddbias[:, None])
        if self.training:
            forward = forward_training(x, weight, bias, eps, exact=True)
            bounds = training_forward_bounds(x, weight, bias, eps, forward, precision)
            values = double_backward_training(cotangents, dy, weight, forward, exact=True)
        else:
            forward = forward_inference(x, weight, bias, *self.statistics, eps, exact=True)
            bounds = inference_forward_bounds(x, weight, bias, eps, forward, precision)
            values = double_backward_inference(cotangents, dy, weight, forward, exact=True)
        given = (x, dy, weight, cotangents, forward, values, bounds, precision)
        return values, second_order_bounds(*given, training=self.training)

    def assert_right(self, precision: Precision, ddy: Array, dx: Array, dweight: Array) -> None:
        """Each result is within its allowed error of the oracle's."""
        __tracebackhide__ = True
        values, allowed = self.exact(precision)
        for name, actual in (("ddy", channel_rows(ddy)), ("dx", channel_rows(dx)), ("dweight", dweight[:, None])):
            assert np.all(distance(actual, getattr(values, name)) <= getattr(allowed, name)), name


@MODES
@RATIO
def test_torchs_double_backward_is_within_bounds(ratio: float, training: bool) -> None:
    """What torch.autograd makes of a backward pass that kept its graph is what the formulas say."""
    problem = Problem(ratio, training)
    x, dy = (torch.tensor(values, requires_grad=True) for values in (problem.x, problem.dy))
    inputs = (x, problem.module.weight, problem.module.bias)
    first = torch.autograd.grad(problem.module(x), inputs, dy, create_graph=True)
    vectors = [torch.tensor(values) for values in (problem.ddx, problem.ddweight, problem.ddbias)]
    found = torch.autograd.grad(first, [dy, x, problem.module.weight], vectors)
    problem.assert_right(TORCHS, *(part.numpy() for part in found))


@MODES
@RATIO
def test_layers_double_backward_is_within_bounds(ratio: float, training: bool) -> None:
    """So is what the layer gives."""
    problem = Problem(ratio, training)
    problem.assert_right(
        OURS, *problem.layer.double_backward(problem.ddx, problem.ddweight, problem.ddbias, problem.dy)
    )


@MODES
@RATIO
def test_forward_modes_are_within_bounds(ratio: float, training: bool) -> None:
    """The layer's tangent of y and torch's are both J v."""
    problem = Problem(ratio, training)
    tangents = (problem.ddx, problem.ddweight, problem.ddbias)
    primals = (problem.x, problem.layer.weight, problem.layer.bias)

    def function(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        statistics = (torch.from_numpy(s[:, 0].copy()) for s in problem.statistics)
        return torch.nn.functional.batch_norm(x, *statistics, weight, bias, training=training)

    with torch.autograd.forward_ad.dual_level():
        dual = [
            torch.autograd.forward_ad.make_dual(*map(torch.tensor, pair))
            for pair in zip(primals, tangents, strict=True)
        ]
        theirs = torch.autograd.forward_ad.unpack_dual(function(*dual)).tangent.numpy()
    for precision, tangent in ((TORCHS, theirs), (OURS, problem.layer.jvp(*tangents))):
        values, allowed = problem.exact(precision)
        assert np.all(distance(channel_rows(tangent), values.ddy) <= allowed.ddy)
