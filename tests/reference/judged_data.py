"""Channels on which rounding is hard, and the ratio of observed to allowed error on them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from rounded_algorithms import InferenceResults, Results, Rows

from bnconform_reference.definition import (
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import Array, DoubleDouble, Real, distance, high
from bnconform_reference.error_bounds import (
    inference_backward_bounds,
    inference_forward_bounds,
    running_bound,
    stored_variance_bound,
    training_backward_bounds,
    training_forward_bounds,
)
from bnconform_reference.precision import LARGEST, DtypeName, Precision
from bnconform_reference.running_statistics import update

DTYPES: dict[DtypeName, Any] = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
KINDS = ["normal", "sorted", "constant", "outlier", "alternating"]
GRADIENTS = ["normal", "constant", "sums to zero", "along x"]


def channels(n: int, ratios: list[float], dtype: DtypeName, seed: int = 0) -> tuple[Array, Array]:
    """x and dy, shape (C, n), exact in `dtype`: every kind of x at every |mean| / sd with every kind of dy."""
    rng = np.random.default_rng([seed, n])
    rows: list[NDArray[np.float64]] = []
    gradients: list[NDArray[np.float64]] = []
    for ratio in ratios:
        for kind in KINDS:
            noise = rng.standard_normal(n)
            if kind == "constant":
                noise = np.full(n, noise[0])
            elif kind == "outlier":
                noise[rng.integers(n)] *= 1e3
            elif kind == "alternating":
                noise = np.where(np.arange(n) % 2, 1.0, -1.0)
            x = _stored((np.sort(noise) if kind == "sorted" else noise) + ratio, dtype)
            for gradient in GRADIENTS:
                dy = rng.standard_normal(n)
                if gradient == "constant":
                    dy = np.full(n, dy[0])
                elif gradient == "sums to zero":
                    # Triples a, b, -(a + b) of integers below 2^8, which every dtype holds, and 0 as rest.
                    a, b = rng.integers(-100, 100, (2, n // 3))
                    dy = rng.permutation(np.concatenate([a, b, -(a + b), np.zeros(n % 3)])) / 64
                elif gradient == "along x":
                    dy = x - x.mean() + 0.5
                rows.append(x)
                gradients.append(_stored(dy, dtype))
    return np.stack(rows), np.stack(gradients)


def _stored(values: Array, dtype: DtypeName) -> Array:
    return values.astype(DTYPES[dtype]).astype(np.float64)


def parameters(channel_count: int) -> tuple[Array, Array, Array, Array]:
    """weight, bias, old running mean and variance, columns (C, 1) of float32 values."""
    rng = np.random.default_rng(channel_count)
    columns = rng.standard_normal((4, channel_count, 1))
    columns[3] = columns[3] ** 2
    weight, bias, mean, variance = _stored(columns, "float32")
    return weight, bias, mean, variance


def ratios(
    results: Results,
    x: Array,
    dy: Array,
    weight: Array,
    bias: Array,
    old_mean: Array,
    old_var: Array,
    *,
    eps: float,
    momentum: float,
    precision: Precision,
) -> dict[str, Array]:
    """Observed over allowed error of every quantity of a training step."""
    forward = forward_training(x, weight, bias, eps, exact=True)
    gradients = backward_training(dy, weight, forward, exact=True)
    bounds = training_forward_bounds(x, weight, bias, eps, forward, precision)
    backward = training_backward_bounds(x, dy, weight, forward, gradients, bounds, precision)
    n = x.shape[-1]
    factor = n / (n - 1) if n > 1 else 1.0
    unbiased = forward.variance * factor
    unbiased_bound = stored_variance_bound(forward.variance, bounds.variance, factor, precision)

    def moved(old: Array, batch: Real) -> Real:
        return update(DoubleDouble(old, np.zeros_like(old)), batch, momentum)

    compared: dict[str, tuple[Any, Real, Array]] = {
        "mean": (results.mean, forward.mean, bounds.mean),
        "variance": (results.variance, forward.variance, bounds.variance),
        "y": (results.y, forward.y, bounds.y),
        "dx": (results.dx, gradients.dx, backward.dx),
        "dweight": (results.dweight, gradients.dweight, backward.dweight),
        "dbias": (results.dbias, gradients.dbias, backward.dbias),
        "running_mean": (
            results.running_mean,
            moved(old_mean, forward.mean),
            running_bound(old_mean, high(forward.mean), bounds.mean, momentum, precision),
        ),
        "running_var": (
            results.running_var,
            moved(old_var, unbiased),
            running_bound(old_var, high(unbiased), unbiased_bound, momentum, precision),
        ),
    }
    return {name: _ratio(*values, precision.output) for name, values in compared.items()}


def inference_ratios(
    results: InferenceResults,
    x: Array,
    dy: Array,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    *,
    eps: float,
    precision: Precision,
) -> dict[str, Array]:
    """As :func:`ratios`, of an inference pass."""
    forward = forward_inference(x, weight, bias, mean, variance, eps, exact=True)
    gradients = backward_inference(dy, weight, forward, exact=True)
    bounds = inference_forward_bounds(x, weight, bias, eps, forward, precision)
    backward = inference_backward_bounds(dy, weight, forward, gradients, bounds, precision)
    return {
        "y": _ratio(results.y, forward.y, bounds.y, precision.output),
        "dx": _ratio(results.dx, gradients.dx, backward.dx, precision.output),
        "dweight": _ratio(results.dweight, gradients.dweight, backward.dweight, precision.parameters),
        "dbias": _ratio(results.dbias, gradients.dbias, backward.dbias, precision.parameters),
    }


def _ratio(actual: Rows, exact: Real, allowed: Array, dtype: DtypeName) -> Array:
    """Observed over allowed; 0 where no bound exists, and for an infinity where the result may overflow."""
    actual = actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        ratio = distance(actual, exact) / allowed
        overflow = np.isinf(actual) & (np.abs(high(exact)) + allowed >= LARGEST[dtype])
    return np.where(np.isinf(allowed) | overflow, 0.0, ratio)
