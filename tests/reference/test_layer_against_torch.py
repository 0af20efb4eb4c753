"""The NumPy layer beside torch.nn.BatchNorm in float64, which shares nothing with it."""

from __future__ import annotations

import numpy as np
import pytest

from bnconform_reference import BatchNorm
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.definition import (
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import Array, high
from bnconform_reference.error_bounds import (
    inference_backward_bounds,
    inference_forward_bounds,
    running_bound,
    stored_variance_bound,
    training_backward_bounds,
    training_forward_bounds,
)
from bnconform_reference.precision import Precision

torch = pytest.importorskip("torch")

SHAPES = [(7, 3), (5, 3, 11), (2, 3, 4, 5), (2, 3, 2, 3, 4)]
MODULES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}
# Ours sums pairwise; torch does not say how, so any order and any stable variance are granted to it.
OURS = Precision.for_dtype("float64", "TT")
TORCHS = Precision.for_dtype("float64", "NW")
STEPS = 4


def column(values: Array) -> Array:
    return values[:, None]


def batch(shape: tuple[int, ...], step: int, ratio: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(step)
    return rng.standard_normal(shape) * (step + 1) + ratio, rng.standard_normal(shape)


def both(shape: tuple[int, ...], momentum: float | None) -> tuple[BatchNorm, torch.nn.Module]:
    layer = BatchNorm(shape[1], momentum=momentum)
    rng = np.random.default_rng(0)
    layer.weight, layer.bias = rng.standard_normal((2, shape[1]))
    module = getattr(torch.nn, MODULES[len(shape)])(shape[1], momentum=momentum, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(layer.weight))
        module.bias.copy_(torch.from_numpy(layer.bias))
    return layer, module


def torch_step(module: torch.nn.Module, x: Array, dy: Array) -> dict[str, Array]:
    """Rows and columns of one forward and backward pass."""
    module.zero_grad()
    leaf = torch.from_numpy(x).requires_grad_()
    y = module(leaf)
    y.backward(torch.from_numpy(dy))
    return {
        "y": channel_rows(y.detach().numpy()),
        "dx": channel_rows(leaf.grad.numpy()),
        "dweight": column(module.weight.grad.numpy()),
        "dbias": column(module.bias.grad.numpy()),
    }


def layer_step(layer: BatchNorm, x: Array, dy: Array) -> dict[str, Array]:
    y, dx = channel_rows(layer(x)), channel_rows(layer.backward(dy))
    return {"y": y, "dx": dx, "dweight": column(layer.dweight), "dbias": column(layer.dbias)}


def assert_within(ours: dict[str, Array], theirs: dict[str, Array], allowed: list[object]) -> None:
    """Two correct implementations differ by at most what each of them may err."""
    __tracebackhide__ = True
    for name, value in ours.items():
        granted = sum(getattr(bounds, name) for bounds in allowed if hasattr(bounds, name))
        assert np.all(np.abs(value - theirs[name]) <= granted), name


@pytest.mark.parametrize("ratio", [0.0, 1e3])
@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_steps_agree_with_torch(shape: tuple[int, ...], momentum: float | None, ratio: float) -> None:
    """Over several steps, outputs, gradients and running statistics agree within both implementations' bounds."""
    layer, module = both(shape, momentum)
    weight, bias = column(layer.weight), column(layer.bias)
    mean_allowed = variance_allowed = np.zeros((shape[1], 1))
    for step in range(STEPS):
        x, dy = batch(shape, step, ratio)
        rows, gradient_rows = channel_rows(x), channel_rows(dy)
        n = rows.shape[1]
        forward = forward_training(rows, weight, bias, layer.eps, exact=True)
        gradients = backward_training(gradient_rows, weight, forward, exact=True)
        old_mean, old_var = column(layer.running_mean), column(layer.running_var)
        allowed: list[object] = []
        m = 1 / (step + 1) if momentum is None else momentum
        # What earlier steps left of their errors shrinks with the old statistic.
        mean_allowed, variance_allowed = (1 - m) * mean_allowed, (1 - m) * variance_allowed
        for precision in (OURS, TORCHS):
            bounds = training_forward_bounds(rows, weight, bias, layer.eps, forward, precision)
            backward = training_backward_bounds(rows, gradient_rows, weight, forward, gradients, bounds, precision)
            allowed += [bounds, backward]
            factor = n / (n - 1)
            stored = stored_variance_bound(forward.variance, bounds.variance, factor, precision)
            mean_allowed = mean_allowed + running_bound(old_mean, high(forward.mean), bounds.mean, m, precision)
            variance_allowed = variance_allowed + running_bound(
                old_var, factor * high(forward.variance), stored, m, precision
            )
        ours, theirs = layer_step(layer, x, dy), torch_step(module, x, dy)
        assert_within(ours, theirs, allowed)
        assert np.all(np.abs(column(layer.running_mean - module.running_mean.numpy())) <= mean_allowed)
        assert np.all(np.abs(column(layer.running_var - module.running_var.numpy())) <= variance_allowed)
    assert layer.batches_seen == module.num_batches_tracked.item() == STEPS


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inference_agrees_with_torch(shape: tuple[int, ...]) -> None:
    """With the same running statistics, inference and its gradients agree within both implementations' bounds."""
    layer, module = both(shape, 0.1)
    layer(batch(shape, 0, 3.0)[0])
    with torch.no_grad():
        module.running_mean.copy_(torch.from_numpy(layer.running_mean))
        module.running_var.copy_(torch.from_numpy(layer.running_var))
    x, dy = batch(shape, 1, 3.0)
    ours, theirs = layer_step(layer.eval(), x, dy), torch_step(module.eval(), x, dy)
    rows, gradient_rows = channel_rows(x), channel_rows(dy)
    weight, bias, mean, variance = map(column, (layer.weight, layer.bias, layer.running_mean, layer.running_var))
    forward = forward_inference(rows, weight, bias, mean, variance, layer.eps, exact=True)
    gradients = backward_inference(gradient_rows, weight, forward, exact=True)
    allowed: list[object] = []
    for precision in (OURS, TORCHS):
        bounds = inference_forward_bounds(rows, weight, bias, layer.eps, forward, precision)
        allowed += [
            bounds,
            inference_backward_bounds(gradient_rows, weight, forward, gradients, bounds, precision),
        ]
    assert_within(ours, theirs, allowed)
