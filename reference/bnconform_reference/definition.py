"""Batch normalization as defined in its paper, forward and backward.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift" (ICML 2015): Algorithm 1 forward, section 3 backward, Algorithm 2 inference. Every function takes
channels as rows, (C, n), and per-channel values as columns, (C, 1); see :mod:`bnconform_reference.channel_axes`.
With ``exact=True`` the same formulas run in double-double arithmetic and return
:class:`~bnconform_reference.double_double.DoubleDouble` values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnconform_reference.blocks import by_blocks
from bnconform_reference.double_double import Array, Real, exactly, rsqrt, total

# A constant channel with eps = 0, or an infinity in the data, gives NaN by IEEE arithmetic: no warning.
_ieee = np.errstate(divide="ignore", invalid="ignore", over="ignore")


@dataclass(frozen=True)
class Normalized:
    """Results of a forward pass: statistics as columns (C, 1), `xhat` and `y` as rows (C, n)."""

    mean: Real
    variance: Real
    """The biased batch variance in training, the running variance in inference."""
    invstd: Real
    """1 / sqrt(variance + eps)"""
    xhat: Real
    """(x - mean) * invstd"""
    y: Real
    """weight * xhat + bias"""


@dataclass(frozen=True)
class Gradients:
    """Results of a backward pass: `dx` as rows (C, n), the others as columns (C, 1)."""

    dx: Real
    dweight: Real
    dbias: Real


@by_blocks
@_ieee
def forward_training(x: Array, weight: Array, bias: Array, eps: float, *, exact: bool = False) -> Normalized:
    """Normalize each channel by its own mean and biased variance.

    Parameters
    ----------
    x : float64 array, shape (C, n), n >= 1
    weight, bias : float64 arrays, shape (C, 1)
    eps : float
        Added to the variance inside the root.
    exact : bool
        Compute in double-double instead of float64.
    """
    n = x.shape[-1]
    mean = total(x, exact=exact) / n
    deviation = x - mean
    variance = total(deviation * deviation, exact=exact) / n
    return _normalize(deviation, mean, variance, weight, bias, eps)


@by_blocks
@_ieee
def forward_inference(
    x: Array,
    weight: Array,
    bias: Array,
    running_mean: Real,
    running_var: Real,
    eps: float,
    *,
    exact: bool = False,
) -> Normalized:
    """Normalize each channel by given statistics (C, 1); other arguments as in :func:`forward_training`."""
    if exact:
        running_mean, running_var = exactly(running_mean), exactly(running_var)
    return _normalize(x - running_mean, running_mean, running_var, weight, bias, eps)


def _normalize(deviation: Real, mean: Real, variance: Real, weight: Array, bias: Array, eps: float) -> Normalized:
    invstd = rsqrt(variance + eps)
    xhat = deviation * invstd
    return Normalized(mean, variance, invstd, xhat, weight * xhat + bias)


@by_blocks
@_ieee
def backward_training(dy: Array, weight: Array, forward: Normalized, *, exact: bool = False) -> Gradients:
    """Compute gradients when the statistics depend on x, so that both paths through mean and variance count.

    dbias = sum dy, dweight = sum dy xhat, dx = weight invstd (dy - dbias / n - xhat dweight / n).

    Parameters
    ----------
    dy : float64 array, shape (C, n), n >= 1
    weight : float64 array, shape (C, 1)
    forward : Normalized
        Result of :func:`forward_training` at the same precision.
    """
    n = dy.shape[-1]
    dbias = total(dy, exact=exact)
    dweight = total(dy * forward.xhat, exact=exact)
    centred = dy - dbias / n - forward.xhat * (dweight / n)
    return Gradients(weight * forward.invstd * centred, dweight, dbias)


@by_blocks
@_ieee
def backward_inference(dy: Array, weight: Array, forward: Normalized, *, exact: bool = False) -> Gradients:
    """Compute gradients when the statistics are constants: dx = weight invstd dy; the others as in training."""
    return Gradients(
        weight * forward.invstd * dy,
        total(dy * forward.xhat, exact=exact),
        total(dy, exact=exact),
    )
