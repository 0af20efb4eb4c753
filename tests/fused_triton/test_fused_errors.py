"""Refusals: one clear sentence that says what to pass, before any state has changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bnconform_adapters.fused_triton import FusedBatchNorm, fused_batch_norm

X = torch.ones(4, 3)


def call(x: torch.Tensor = X, **changed: Any) -> torch.Tensor:
    arguments: dict[str, Any] = {
        "weight": torch.ones(3),
        "bias": torch.zeros(3),
        "running_mean": torch.zeros(3),
        "running_var": torch.ones(3),
        "training": True,
        **changed,
    }
    return fused_batch_norm(x, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"x": torch.ones(3)},
            "x has rank 1 (shape (3,)): pass 2 to 5 dimensions, (N, C) to (N, C, D, H, W)",
        ),
        (
            {"x": torch.ones(1, 3, 1, 1, 1, 2)},
            "x has rank 6 (shape (1, 3, 1, 1, 1, 2)): pass 2 to 5 dimensions, (N, C) to (N, C, D, H, W)",
        ),
        (
            {"x": torch.ones(4, 3, dtype=torch.int32)},
            "x has dtype int32: pass float16, bfloat16, float32 or float64",
        ),
        ({"eps": -1e-5}, "eps is -1e-05: pass a finite number of 0 or more"),
        ({"eps": float("nan")}, "eps is nan: pass a finite number of 0 or more"),
        (
            {"weight": torch.ones(4)},
            "weight has shape (4,), but x of shape (4, 3) has 3 channels on axis 1: pass weight of shape (3,), "
            "or x with 4 channels",
        ),
        (
            {"running_var": torch.ones(3, 1)},
            "running_var has shape (3, 1), but x of shape (4, 3) has 3 channels on axis 1: pass running_var of "
            "shape (3,), or x with 3 channels",
        ),
        (
            {"bias": torch.zeros(3).half()},
            "bias has dtype float16, but x has dtype float32: pass bias as float32",
        ),
        (
            {"x": X.half(), "weight": torch.ones(3).double()},
            "weight has dtype float64, but x has dtype float16: pass weight as float16 or float32",
        ),
        (
            {"running_mean": torch.zeros(1).expand(3)},
            "running_mean is expanded (stride 0): pass a buffer with its own memory per channel",
        ),
        (
            {"training": False, "running_mean": None},
            "inference needs running_mean and running_var: pass both, or training=True",
        ),
        (
            {"residual": torch.ones(4, 1)},
            "residual has shape (4, 1), but x has shape (4, 3): pass a residual of x's shape",
        ),
        (
            {"residual": X.half()},
            "residual has dtype float16, but x has dtype float32: pass them in one dtype",
        ),
        (
            {"x": torch.ones(1, 3)},
            "Expected more than 1 value per channel when training, got input size (1, 3): pass a larger batch, "
            "or switch to inference with eval()",
        ),
    ],
)
def test_invalid_calls_say_what_to_pass(arguments: dict[str, Any], message: str) -> None:
    """The sentence, word by word."""
    with pytest.raises(ValueError, match="pass") as caught:
        call(**arguments)
    assert str(caught.value) == message


def test_module_names_its_number_of_channels() -> None:
    """The module knows what it was built for."""
    with pytest.raises(ValueError, match="pass") as caught:
        FusedBatchNorm(3)(torch.ones(4, 5))
    assert str(caught.value) == (
        "x of shape (4, 5) has 5 channels on axis 1, but this module was built for 3: pass x with 3 channels"
    )


def test_refused_calls_leave_the_state() -> None:
    """Neither statistics nor the count have moved when the call raises."""
    module = FusedBatchNorm(3)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    for x, residual in ((torch.ones(3), None), (torch.ones(4, 5), None), (X.int(), None), (X, torch.ones(4, 1))):
        with pytest.raises(ValueError, match="pass"):
            module(x, residual)
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())


def test_mismatched_dy_is_refused() -> None:
    """autograd's own check stands before the kernel."""
    y = call(X.clone().requires_grad_())
    with pytest.raises(RuntimeError, match="shape"):
        y.backward(torch.ones(4, 2))
