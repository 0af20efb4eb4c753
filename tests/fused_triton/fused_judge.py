"""One run of the kernel against the exact formulas, in multiples of the allowed error.

The formulas and bounds are the reference's. Two things are added here for what the reference does
not have: a residual costs one more rounding of the sum, ``u |z|``; ReLU moves no two values further
apart than they were, so a bound of z is a bound of relu(z). Where ReLU's gate is checked, it is
against the sign of z wherever z is further from 0 than its own bound; the gradients are then judged
with the gate that the implementation took, since a flipped gate legitimately changes dx by all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bnconform_adapters.fused_triton import fused_batch_norm
from bnconform_reference import definition
from bnconform_reference import error_bounds as bounds
from bnconform_reference.channel_axes import channel_column, channel_rows
from bnconform_reference.double_double import high
from bnconform_reference.precision import Precision


@dataclass(frozen=True)
class Problem:
    """A call of the fused batch norm on seeded data of mean ``offset`` and standard deviation 1."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    training: bool = True
    relu: bool = False
    residual: bool = False
    channels_last: bool = False
    affine: tuple[bool, bool] = (True, True)
    offset: float = 3.0
    momentum: float = 0.3
    eps: float = 1e-5
    half_parameters: bool = False
    seed: int = 0

    def __str__(self) -> str:
        parts = ["x".join(map(str, self.shape)), self.dtype]
        parts += [name for name in ("relu", "residual", "channels_last") if getattr(self, name)]
        return "-".join(parts if self.training else [*parts, "inference"])


def tensors(problem: Problem) -> dict[str, Any]:
    """Seeded x, dy, residual, weight, bias and running statistics."""
    generator = torch.Generator().manual_seed(problem.seed)
    dtype = getattr(torch, problem.dtype)
    wide = torch.float64 if problem.dtype == "float64" else torch.float32
    per_channel = dtype if problem.half_parameters else wide

    def normal(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def tensor(offset: float = 0.0) -> torch.Tensor:
        t = (normal(problem.shape) + offset).to(dtype)
        if not problem.channels_last:
            return t
        order = (0, *range(2, t.ndim), 1)
        return t.permute(order).contiguous().permute(0, t.ndim - 1, *range(1, t.ndim - 1))

    channels = (problem.shape[1],)
    return {
        "x": tensor(problem.offset).requires_grad_(),
        "dy": tensor(),
        "residual": tensor().requires_grad_() if problem.residual else None,
        "weight": normal(channels).to(per_channel).requires_grad_() if problem.affine[0] else None,
        "bias": normal(channels).to(per_channel).requires_grad_() if problem.affine[1] else None,
        "running_mean": (normal(channels) + problem.offset).to(per_channel),
        "running_var": (normal(channels).square() + 0.1).to(per_channel),
    }


def run(problem: Problem, given: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Forward and backward; the running statistics of ``given`` are copied first."""
    running_mean, running_var = given["running_mean"].clone(), given["running_var"].clone()
    y = fused_batch_norm(
        given["x"], given["weight"], given["bias"], running_mean, running_var, training=problem.training,
        momentum=problem.momentum, eps=problem.eps, residual=given["residual"], relu=problem.relu,
    )  # fmt: skip
    leaves = {name: given[name] for name in ("x", "weight", "bias", "residual") if given[name] is not None}
    gradients = torch.autograd.grad(y, list(leaves.values()), given["dy"])
    named = {f"d{name}": g for name, g in zip(leaves, gradients, strict=True)}
    return {"y": y.detach(), "running_mean": running_mean, "running_var": running_var, **named}


def ratios(problem: Problem, given: dict[str, Any], got: dict[str, torch.Tensor], grade: Any) -> dict[str, float]:
    """Largest error / allowed error of each quantity; more than 1 is wrong."""
    precision = Precision.for_dtype(problem.dtype, grade)  # type: ignore[arg-type]
    if problem.half_parameters:
        precision = replace(precision, parameters=problem.dtype)  # type: ignore[arg-type]
    inner = replace(precision, output=precision.accumulation)  # before y is rounded to its dtype
    exact = problem.dtype == "float64"
    channels = problem.shape[1]
    rows = {name: _rows(given[name]) for name in ("x", "dy", "residual") if given[name] is not None}
    weight, bias = (
        channel_column(None if given[name] is None else _array(given[name]), channels, default)
        for name, default in (("weight", 1.0), ("bias", 0.0))
    )
    x = rows["x"]
    old = {name: channel_column(_array(given[name]), channels, 0.0) for name in ("running_mean", "running_var")}
    found: dict[str, float] = {}
    if problem.training:
        forward = definition.forward_training(x, weight, bias, problem.eps, exact=exact)
        allowed = bounds.training_forward_bounds(x, weight, bias, problem.eps, forward, inner)
        n = x.shape[1]
        factor = n / (n - 1)
        batches = {
            "running_mean": (high(forward.mean), allowed.mean),
            "running_var": (
                high(forward.variance) * factor,
                bounds.stored_variance_bound(forward.variance, allowed.variance, factor, precision),
            ),
        }
        for name, (batch, bound) in batches.items():
            expected = old[name] + problem.momentum * (batch - old[name])
            limit = bounds.running_bound(old[name], batch, bound, problem.momentum, precision)
            found[name] = _ratio(_array(got[name])[:, None], expected, limit)
    else:
        statistics = (old["running_mean"], old["running_var"])
        forward = definition.forward_inference(x, weight, bias, *statistics, problem.eps, exact=exact)
        allowed = bounds.inference_forward_bounds(x, weight, bias, problem.eps, forward, inner)
        for name in old:
            assert np.array_equal(_array(got[name])[:, None], old[name]), f"inference wrote {name}"

    z, z_bound = high(forward.y), allowed.y
    if problem.residual:
        z = z + rows["residual"]
        z_bound = z_bound + precision.u * (np.abs(z) + z_bound)
    y = np.maximum(z, 0) if problem.relu else z
    found["y"] = _ratio(_rows(got["y"]), y, bounds.rounded(z_bound, y, precision.output))

    dy = rows["dy"]
    if problem.relu:
        gate = ~(_rows(got["y"]) <= 0)
        clear = np.abs(z) > bounds.rounded(z_bound, z, precision.output)
        assert clear.mean() > 0.5, "too few signs are certain for a check of the gate"
        assert np.array_equal(gate[clear], z[clear] > 0), "ReLU's gate is not the sign of its input"
        dy = np.where(gate, dy, 0.0)
    if problem.training:
        gradients = definition.backward_training(dy, weight, forward, exact=exact)
        limits = bounds.training_backward_bounds(x, dy, weight, forward, gradients, allowed, precision)
    else:
        gradients = definition.backward_inference(dy, weight, forward, exact=exact)
        limits = bounds.inference_backward_bounds(dy, weight, forward, gradients, allowed, precision)
    found["dx"] = _ratio(_rows(got["dx"]), gradients.dx, limits.dx)
    for name in ("dweight", "dbias"):
        if name in got:
            found[name] = _ratio(_array(got[name])[:, None], getattr(gradients, name), getattr(limits, name))
    if problem.residual:
        assert np.array_equal(_rows(got["dresidual"]), dy), "dresidual is dy behind the gate, exactly"
    return found


def check(problem: Problem, grade: Any = "TW") -> None:
    """Assert that every quantity is within its allowed error, and keeps shape, dtype and layout."""
    given = tensors(problem)
    got = run(problem, given)
    assert got["y"].stride() == given["x"].stride()
    assert got["dx"].stride() == given["x"].stride()
    for name in ("x", "weight", "bias", "residual"):
        if given[name] is not None:
            assert got[f"d{name}"].dtype == given[name].dtype
    found = ratios(problem, given, got, grade)
    wrong = {name: ratio for name, ratio in found.items() if not ratio <= 1}
    assert not wrong, f"{problem}: error / allowed error {wrong}"


def _array(t: torch.Tensor) -> Any:
    return t.detach().double().numpy()


def _rows(t: torch.Tensor) -> Any:
    return channel_rows(_array(t))


def _ratio(got: Any, expected: Any, allowed: Any) -> float:
    low = getattr(expected, "lo", 0.0)  # of a double-double
    error = np.abs((got - high(expected)) - low)
    assert np.isfinite(allowed).all(), "an infinite bound checks nothing"
    return float(np.max(error / allowed))
