"""What autograd relies on: first and second derivatives, subsets, repeated and interleaved backward passes."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from fused_judge import Problem, run, tensors

from bnconform_adapters.fused_triton import fused_batch_norm

SMALL = (2, 2, 2)
MODES = [
    pytest.param(training, relu, residual, id=f"{'training' if training else 'inference'}-relu={relu}-{residual=}")
    for training, relu, residual in product((True, False), (False, True), (False, True))
    if training ^ relu ^ residual
]
"""Half of all: each two of training, relu and residual have every two values."""


def call(given: dict[str, Any], *, training: bool, relu: bool = False) -> Any:
    """The function of (x, weight, bias, residual), with fixed running statistics."""

    def function(x: Any, weight: Any, bias: Any, residual: Any = None) -> Any:
        statistics = (given["running_mean"].clone(), given["running_var"].clone())
        return fused_batch_norm(x, weight, bias, *statistics, training=training, residual=residual, relu=relu)

    return function


def leaves(given: dict[str, Any]) -> list[torch.Tensor]:
    return [given[name] for name in ("x", "weight", "bias", "residual") if given[name] is not None]


@pytest.mark.parametrize(("training", "relu", "residual"), MODES)
def test_gradients_are_those_of_finite_differences(training: bool, relu: bool, residual: bool) -> None:
    """gradcheck in float64."""
    given = tensors(Problem(SMALL, "float64", residual=residual))
    assert torch.autograd.gradcheck(call(given, training=training, relu=relu), leaves(given))


@pytest.mark.parametrize(("training", "relu", "residual"), MODES)
def test_second_gradients_are_those_of_finite_differences(training: bool, relu: bool, residual: bool) -> None:
    """gradgradcheck in float64."""
    given = tensors(Problem(SMALL, "float64", residual=residual))
    assert torch.autograd.gradgradcheck(call(given, training=training, relu=relu), leaves(given))


@pytest.mark.parametrize("affine", [(True, False), (False, True), (False, False)], ids=str)
def test_second_gradients_without_weight_or_bias(affine: tuple[bool, bool]) -> None:
    """gradgradcheck with parameters absent."""
    given = tensors(Problem(SMALL, "float64", affine=affine))
    present = [name for name in ("x", "weight", "bias") if given[name] is not None]

    def function(*values: Any) -> Any:
        arguments = {"weight": None, "bias": None, **dict(zip(present, values, strict=True))}
        return fused_batch_norm(**arguments, running_mean=None, running_var=None, training=True)

    assert torch.autograd.gradgradcheck(function, [given[name] for name in present])


def test_second_gradient_follows_dy_that_depends_on_x() -> None:
    """A loss that is not linear in y makes dy a function of x; each path counts once."""
    given = tensors(Problem(SMALL, "float64"))
    statistics = (given["running_mean"], given["running_var"])

    def penalty(normalise: Any) -> torch.Tensor:
        x = given["x"].detach().requires_grad_()
        y = normalise(x)
        (dx,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        (result,) = torch.autograd.grad(dx.square().sum(), x)
        return result

    ours = penalty(lambda x: fused_batch_norm(x, None, None, *statistics, training=True, momentum=0.0))
    theirs = penalty(lambda x: torch.nn.functional.batch_norm(x, *statistics, training=True, momentum=0.0))
    # torch's own finite-difference criterion, for two analytic results.
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 3, 61, 67)], ids=str)
@pytest.mark.parametrize(("training", "relu", "residual"), MODES)
def test_every_subset_of_gradients_gives_the_same_bits(
    training: bool, relu: bool, residual: bool, shape: tuple[int, ...]
) -> None:
    """Gradients that nobody asked for change nothing about those that somebody did."""
    problem = Problem(shape, training=training, relu=relu, residual=residual)
    given = tensors(problem)
    everything = run(problem, given)
    names = [name for name in ("x", "weight", "bias", "residual") if given[name] is not None]
    subsets = [(name,) for name in names] + [("x", "bias"), ("weight", "bias")]
    for subset in subsets:
        part = {name: None if t is None else t.detach() for name, t in given.items()}
        for name in subset:
            part[name].requires_grad_()
        y = call(part, training=training, relu=relu)(part["x"], part["weight"], part["bias"], part["residual"])
        found = torch.autograd.grad(y, [part[name] for name in subset], given["dy"])
        for name, gradient in zip(subset, found, strict=True):
            # In inference dx alone takes the kernel without sums: the same products, the same bits.
            assert torch.equal(gradient, everything[f"d{name}"]), (subset, name)


def test_second_backward_does_not_accumulate_into_the_first() -> None:
    """Retaining the graph and asking again gives the same bits."""
    given = tensors(Problem((4, 5, 6), relu=True))
    y = call(given, training=True, relu=True)(given["x"], given["weight"], given["bias"])
    first, second = (torch.autograd.grad(y, leaves(given), given["dy"], retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_two_forwards_then_their_backwards_do_not_mix(training: bool) -> None:
    """Saved statistics belong to their call, also when a training step moved the buffers in between."""
    problems = [Problem((4, 5, 6), training=training, seed=seed) for seed in (1, 2)]
    batches = [tensors(problem) for problem in problems]
    alone = []
    outputs = []
    running_mean, running_var = batches[0]["running_mean"].clone(), batches[0]["running_var"].clone()
    for batch in batches:
        statistics = (running_mean, running_var)
        y = fused_batch_norm(batch["x"], batch["weight"], batch["bias"], *statistics, training=training)
        alone.append(torch.autograd.grad(y, leaves(batch), batch["dy"], retain_graph=True))
        outputs.append(y)
    fused_batch_norm(batches[0]["x"].detach(), None, None, running_mean, running_var, training=True)
    for batch, y, expected in zip(batches, outputs, alone, strict=True):
        found = torch.autograd.grad(y, leaves(batch), batch["dy"])
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_zero_weight_stops_dx_but_not_dweight() -> None:
    """dx carries weight as a factor, dweight does not."""
    given = tensors(Problem((4, 5, 6)))
    weight = torch.zeros_like(given["weight"]).requires_grad_()
    y = fused_batch_norm(given["x"], weight, given["bias"], None, None, training=True)
    dx, dweight = torch.autograd.grad(y, [given["x"], weight], given["dy"])
    assert torch.equal(dx, torch.zeros_like(dx))
    assert bool((dweight != 0).all())


def test_zero_dy_gives_exact_zeros() -> None:
    """Every gradient is linear in dy."""
    given = tensors(Problem((4, 5, 6)))
    y = call(given, training=True)(given["x"], given["weight"], given["bias"])
    for gradient in torch.autograd.grad(y, leaves(given), torch.zeros_like(y)):
        assert torch.equal(gradient, torch.zeros_like(gradient))
