"""Computing a few channels at a time changes no bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from bnconform_reference import blocks
from bnconform_reference.certificate import certify_backward, certify_forward
from bnconform_reference.definition import (
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import DoubleDouble
from bnconform_reference.error_bounds import training_backward_bounds, training_forward_bounds
from bnconform_reference.precision import Precision

EPS = 1e-5


def everything(x: np.ndarray, dy: np.ndarray, *, exact: bool) -> list[Any]:
    """All that the oracle computes of a call, in training and in inference."""
    rng = np.random.default_rng(1)
    weight, bias, mean, var = rng.uniform(0.5, 2.0, (4, x.shape[0], 1))
    precision = Precision.for_dtype("float32")
    forward = forward_training(x, weight, bias, EPS, exact=exact)
    bounds = training_forward_bounds(x, weight, bias, EPS, forward, precision)
    gradients = backward_training(dy, weight, forward, exact=exact)
    certificate = certify_forward(x, weight, bias, EPS, forward, training=True)
    inference = forward_inference(x, weight, bias, mean, var, EPS, exact=exact)
    return [
        *(forward, bounds, gradients, certificate, inference, backward_inference(dy, weight, inference, exact=exact)),
        training_backward_bounds(x, dy, weight, forward, gradients, bounds, precision),
        certify_backward(x, dy, weight, forward, gradients, certificate, training=True),
    ]


def arrays(value: Any) -> list[np.ndarray]:
    """The arrays of a record, in order."""
    if isinstance(value, DoubleDouble):
        return [value.hi, value.lo]
    if is_dataclass(value):
        return [array for field in fields(value) for array in arrays(getattr(value, field.name))]
    return [value]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("shape", [(7, 33), (64, 1000), (3, 1), (1, 50)])
def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], exact: bool) -> None:
    """One channel at a time, two at a time with a rest, and all at once give the same values and bounds."""
    x, dy = np.random.default_rng(0).standard_normal((2, *shape)) + 3
    monkeypatch.setattr(blocks, "BLOCK", 1 << 60)
    whole = everything(x, dy, exact=exact)
    for block in (1, 2 * shape[1] + 1):
        monkeypatch.setattr(blocks, "BLOCK", block)
        for cut, due in zip(everything(x, dy, exact=exact), whole, strict=True):
            for one, other in zip(arrays(cut), arrays(due), strict=True):
                np.testing.assert_array_equal(one, other)
