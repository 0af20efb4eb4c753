"""Correct ways to compute batch normalization in float32, each with the grade it can honestly claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.precision import Grade

Rows = NDArray[Any]  # float32 or float64, shape (C, n); columns are (C, 1)
Sum = Callable[[Rows], Rows]
Statistics = Callable[[Rows, Sum], tuple[Rows, Rows]]


def pairwise(values: Rows) -> Rows:
    """NumPy's own order along a contiguous axis."""
    return np.ascontiguousarray(values).sum(axis=-1, keepdims=True)


def sequential(values: Rows) -> Rows:
    """One accumulator, left to right."""
    return np.add.accumulate(values, axis=-1)[:, -1:]


def blocked(values: Rows) -> Rows:
    """Sequential within blocks of about sqrt(n), then sequential over the blocks."""
    size = int(np.ceil(np.sqrt(values.shape[-1])))
    starts = range(0, values.shape[-1], size)
    return sequential(np.concatenate([sequential(values[:, s : s + size]) for s in starts], axis=-1))


def two_pass(x: Rows, sum_: Sum) -> tuple[Rows, Rows]:
    """The mean, then the mean square of deviations from it."""
    n = x.dtype.type(x.shape[-1])
    mean = sum_(x) / n
    return mean, sum_(np.square(x - mean)) / n


def shifted(x: Rows, sum_: Sum) -> tuple[Rows, Rows]:
    """Two-pass, less the square of the mean deviation (Chan, Golub and LeVeque 1983, formula 1.7)."""
    n = x.dtype.type(x.shape[-1])
    mean = sum_(x) / n
    deviation = x - mean
    variance = (sum_(np.square(deviation)) - np.square(sum_(deviation)) / n) / n
    return mean, np.maximum(variance, 0)


def welford(x: Rows, sum_: Sum) -> tuple[Rows, Rows]:
    """One value at a time (Welford 1962)."""
    mean, squares = x[:, :1].copy(), np.zeros_like(x[:, :1])
    for k in range(1, x.shape[-1]):
        delta = x[:, k : k + 1] - mean
        mean = mean + delta / x.dtype.type(k + 1)
        squares = squares + delta * (x[:, k : k + 1] - mean)
    return mean, squares / x.dtype.type(x.shape[-1])


def chan_tree(x: Rows, sum_: Sum) -> tuple[Rows, Rows]:
    """Neighbours merged by halves (Chan, Golub and LeVeque 1983, formula 2.1); a leftover waits a level."""
    mean, squares = x, np.zeros_like(x)
    count = np.ones(x.shape[-1], x.dtype)
    while count.size > 1:
        pairs = count.size // 2 * 2
        a, b = slice(0, pairs, 2), slice(1, pairs, 2)
        merged = count[a] + count[b]
        delta = mean[:, b] - mean[:, a]
        merged_mean = mean[:, a] + delta * (count[b] / merged)
        merged_squares = squares[:, a] + squares[:, b] + delta * delta * (count[a] * count[b] / merged)
        mean = np.concatenate([merged_mean, mean[:, pairs:]], axis=-1)
        squares = np.concatenate([merged_squares, squares[:, pairs:]], axis=-1)
        count = np.concatenate([merged, count[pairs:]])
    return mean, squares / x.dtype.type(x.shape[-1])


def naive(x: Rows, sum_: Sum) -> tuple[Rows, Rows]:
    """E[x^2] - E[x]^2, kept from going negative."""
    n = x.dtype.type(x.shape[-1])
    mean = sum_(x) / n
    return mean, np.maximum(sum_(np.square(x)) / n - np.square(mean), 0)


@dataclass(frozen=True)
class Algorithm:
    """One implementation; everything runs in `accumulation`, whatever the inputs' dtype."""

    name: str
    grade: Grade
    statistics: Statistics
    sum: Sum
    folded: bool = False
    """Whether y is ``x * scale + shift``."""
    autodiff: bool = False
    """Whether the backward pass also follows the variance's dependence on the mean, which is 0 but for rounding."""
    accumulation: type[np.floating[Any]] = np.float32


ALGORITHMS = [
    Algorithm("two-pass pairwise", "TT", two_pass, pairwise),
    Algorithm("two-pass pairwise folded", "TT", two_pass, pairwise, folded=True),
    Algorithm("two-pass pairwise autodiff", "TT", two_pass, pairwise, autodiff=True),
    Algorithm("shifted pairwise", "TT", shifted, pairwise),
    Algorithm("two-pass blocked", "BT", two_pass, blocked),
    Algorithm("two-pass sequential", "NT", two_pass, sequential),
    Algorithm("two-pass sequential folded", "NT", two_pass, sequential, folded=True, autodiff=True),
    Algorithm("Chan tree", "TW", chan_tree, pairwise),
    Algorithm("Chan tree folded", "TW", chan_tree, pairwise, folded=True),
    Algorithm("Welford", "NW", welford, sequential),
    Algorithm("naive pairwise", "NN", naive, pairwise),
    Algorithm("naive sequential", "NN", naive, sequential),
    Algorithm("naive sequential folded", "NN", naive, sequential, folded=True),
    Algorithm("float64 inside", "TT", two_pass, pairwise, accumulation=np.float64),
]


@dataclass(frozen=True)
class Results:
    """What an implementation returns, in the dtypes it stores; columns (C, 1) and rows (C, n)."""

    mean: Rows
    variance: Rows
    y: Rows
    dx: Rows
    dweight: Rows
    dbias: Rows
    running_mean: Rows
    running_var: Rows


def train(
    algorithm: Algorithm,
    x: Rows,
    dy: Rows,
    weight: Rows,
    bias: Rows,
    old_mean: Rows,
    old_var: Rows,
    *,
    eps: float,
    momentum: float,
    output: Any,
) -> Results:
    """One training step; x and dy hold values of `output`, the per-channel columns float32 values."""
    kind = algorithm.accumulation
    x, dy, weight, bias, old_mean, old_var = (
        np.asarray(v).astype(kind) for v in (x, dy, weight, bias, old_mean, old_var)
    )
    n, one = kind(x.shape[-1]), kind(1)
    mean, variance = algorithm.statistics(x, algorithm.sum)
    invstd = one / np.sqrt(variance + kind(eps))
    if algorithm.folded:
        scale = weight * invstd
        y = x * scale + (bias - mean * scale)
    else:
        y = weight * ((x - mean) * invstd) + bias
    xhat = (x - mean) * invstd
    dbias, dweight = algorithm.sum(dy), algorithm.sum(dy * xhat)
    dx = weight * invstd * (dy - dbias / n - xhat * (dweight / n))
    if algorithm.autodiff:
        dx = dx + weight * invstd * (dweight / n) * (algorithm.sum(x - mean) / n * invstd)
    m = kind(momentum)
    unbiased = variance * (n / (n - one)) if n > 1 else variance
    stored = np.float32
    return Results(
        mean,
        variance,
        y.astype(output),
        dx.astype(output),
        dweight.astype(stored),
        dbias.astype(stored),
        ((one - m) * old_mean + m * mean).astype(stored),
        (old_var + m * (unbiased - old_var)).astype(stored),
    )


@dataclass(frozen=True)
class InferenceResults:
    """What an implementation returns in inference: rows y and dx, columns dweight and dbias."""

    y: Rows
    dx: Rows
    dweight: Rows
    dbias: Rows


def infer(
    x: Rows,
    dy: Rows,
    weight: Rows,
    bias: Rows,
    mean: Rows,
    variance: Rows,
    *,
    eps: float,
    output: Any,
    folded: bool,
) -> InferenceResults:
    """An inference pass and its gradients in float32, sums pairwise."""
    x, dy, weight, bias, mean, variance = (v.astype(np.float32) for v in (x, dy, weight, bias, mean, variance))
    invstd = np.float32(1) / np.sqrt(variance + np.float32(eps))
    scale = weight * invstd
    y = x * scale + (bias - mean * scale) if folded else weight * ((x - mean) * invstd) + bias
    dweight = pairwise(dy * (x - mean)) * invstd
    return InferenceResults(y.astype(output), (dy * scale).astype(output), dweight, pairwise(dy))
