"""Allowed errors of every output, derived from the data without any chosen tolerance.

Each bound is the worst-case error of a *correct* implementation with the given
:class:`~bnconform_reference.precision.Precision`: rounding analysis to first order, plus the quadratic terms that
matter. The inputs are exact, since the oracle gets the stored (already rounded) arrays. Only arithmetic and the
rounding of results contribute. Notation in comments: u unit roundoff of accumulation, M1 = mean |x|,
mu, s2, r exact mean, biased variance and invstd, K height of the summation tree.

Sources: Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), sections 1.9, 3.1 and 4.2; Chan, Golub
and LeVeque, Algorithms for computing the sample variance (The American Statistician 37, 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnconform_reference.blocks import by_blocks
from bnconform_reference.definition import Gradients, Normalized
from bnconform_reference.double_double import Array, Real, high
from bnconform_reference.merged_bounds import merged_bounds
from bnconform_reference.precision import UNIT_ROUNDOFF, DtypeName, Precision, underflow_loss


@dataclass(frozen=True)
class ForwardBounds:
    """Allowed errors of a forward pass: statistics as columns (C, 1), `y` as rows (C, n)."""

    mean: Array
    variance: Array
    invstd: Array
    y: Array


@dataclass(frozen=True)
class GradientBounds:
    """Allowed errors of a backward pass: `dx` as rows (C, n), the others as columns (C, 1)."""

    dx: Array
    dweight: Array
    dbias: Array


# If 1 / sqrt(v + eps) is unbounded, the bounds that depend on it are infinite on purpose: no warning.
_unbounded = np.errstate(divide="ignore", invalid="ignore", over="ignore")


def unbounded_if_nan(bound: Array) -> Array:
    """Replace NaN in `bound` by infinity: inf - inf and 0 * inf arise only if no bound is known."""
    return np.asarray(np.where(np.isnan(bound), np.inf, bound))


def rounded(bound: Array, value: Array, dtype: DtypeName) -> Array:
    """Add to `bound` the error of rounding the result `value` to `dtype`."""
    return unbounded_if_nan(bound + UNIT_ROUNDOFF[dtype] * (np.abs(value) + bound) + underflow_loss(dtype))


@by_blocks
@_unbounded
def training_forward_bounds(
    x: Array,
    weight: Array,
    bias: Array,
    eps: float,
    forward: Normalized,
    precision: Precision,
    *,
    shards: Sequence[int] = (),
) -> ForwardBounds:
    """Return the allowed errors of a training forward pass.

    Parameters
    ----------
    x : float64 array, shape (C, n)
    weight, bias : float64 arrays, shape (C, 1)
    forward : Normalized
        The oracle's values for these arguments.
    shards : sequence of int
        Number of columns of x on each device, if several devices merge their statistics.
    """
    n = x.shape[-1]
    gamma, u, tau = precision.gamma, precision.u, precision.tau
    height = precision.sum_height(n)
    mu, s2 = high(forward.mean), high(forward.variance)
    mean_abs = np.mean(np.abs(x), axis=-1, keepdims=True)

    # K additions for each summand, two roundings of the division (a reciprocal is allowed), one of n.
    mean = gamma(height + 4) * mean_abs + 2 * tau
    relative = gamma(height + 5)
    if precision.naive:
        # One pass about 0, or about any value c of the channel, at most `farthest` from the mean: then the rounded
        # x - c are summed instead of x.
        deviation = np.abs(x - mu)
        farthest = np.max(deviation, axis=-1, keepdims=True)
        shifted = np.mean(deviation, axis=-1, keepdims=True) + farthest
        mean = np.maximum(mean, gamma(height + 5) * shifted + u * np.abs(mu) + 2 * tau)
        centre = np.maximum(np.abs(mu), farthest)
    match precision.grade[1]:
        case "T":
            # sum (x - m)^2 = n s2 + n (m - mu)^2 exactly: the mean's error enters squared.
            variance = relative * (s2 + mean**2) + mean**2
        case "W":
            # Welford and Chan use running means: their errors enter once, multiplied by the deviations.
            variance = relative * (s2 + mean**2) + 2 * np.sqrt(s2) * mean + mean**2
        case _:
            # E[x^2] - E[x]^2 cancels: the error is relative to E[(x - c)^2] = s2 + (mu - c)^2. The rounding of x - c is
            # two roundings of its square. The term with sd makes this grade the widest.
            cross = 2 * (centre + np.sqrt(s2)) * mean
            variance = gamma(height + 7) * (s2 + centre**2) + cross + mean**2 + 2 * u * (centre + mean) ** 2
    counts = [count for count in shards if count]
    if len(counts) > 1:
        mean, variance = merged_bounds(x, mu, s2, mean, variance, counts, precision)
    variance = variance + 4 * tau * (1 + mean_abs)  # squares may underflow
    lowest = s2 - variance
    if precision.grade[1] != "U":
        lowest = np.maximum(lowest, 0.0)
    lowest = lowest - u * np.abs(lowest)
    highest = (s2 + variance) * (1 + u)
    invstd = _invstd_bound(lowest, highest, eps, high(forward.invstd), u)
    y = _output_bound(x, weight, bias, forward, mean, invstd, precision)
    return ForwardBounds(unbounded_if_nan(mean), unbounded_if_nan(variance), invstd, y)


@by_blocks
@_unbounded
def inference_forward_bounds(
    x: Array, weight: Array, bias: Array, eps: float, forward: Normalized, precision: Precision
) -> ForwardBounds:
    """Return the allowed errors of an inference forward pass, whose statistics are exact inputs."""
    u = precision.u
    variance = high(forward.variance)
    slack = u * np.abs(variance)
    invstd = _invstd_bound(variance - slack, variance + slack, eps, high(forward.invstd), u)
    none = np.zeros_like(variance)
    return ForwardBounds(none, none, invstd, _output_bound(x, weight, bias, forward, none, invstd, precision))


def _invstd_bound(lowest: Array, highest: Array, eps: float, invstd: Array, u: float) -> Array:
    """Return the error of 1 / sqrt(v + eps) for v in [lowest, highest]; infinite if v + eps may reach 0.

    eps may be rounded to the accumulation dtype (2u). 8u covers the approximate square root, division and
    reciprocal square root of GPU instruction sets; IEEE operations need 2u.
    """
    largest = 1.0 / np.sqrt(np.maximum(lowest + eps * (1 - 2 * u), 0.0))
    smallest = 1.0 / np.sqrt(highest + eps * (1 + 2 * u))
    return unbounded_if_nan(np.maximum(largest - invstd, invstd - smallest) + 8 * u * largest)


def _output_bound(
    x: Array,
    weight: Array,
    bias: Array,
    forward: Normalized,
    mean: Array,
    invstd: Array,
    precision: Precision,
) -> Array:
    u, tau = precision.u, precision.tau
    mu, g = high(forward.mean), np.abs(weight)
    deviation = np.abs(x - mu)
    r = high(forward.invstd) + invstd
    propagated = g * (r * mean + deviation * invstd)
    # Five roundings of weight * (x - mean) * invstd, three of adding bias. The last term allows the folded
    # form x * a + (bias - mean * a), whose parts have the size of x and mean.
    arithmetic = u * (5 * g * deviation * r + 3 * np.abs(bias) + 3 * g * r * (np.abs(x) + np.abs(mu)))
    bound = (propagated + arithmetic) * (1 + 8 * u) + tau * (2 + 2 * g * r)
    return rounded(bound, high(forward.y), precision.output)


def running_bound(old: Array, batch: Array, batch_bound: Array, momentum: float, precision: Precision) -> Array:
    """Return the allowed error of ``(1 - momentum) old + momentum batch``, stored in the parameters' dtype.

    Parameters
    ----------
    old, batch, batch_bound : float64 arrays, shape (C, 1)
        The old statistic, the batch's (with Bessel's factor), and the allowed error of the batch's.
    """
    u = precision.u
    result = old + momentum * (batch - old)
    # The term |batch - old| is the rounding of momentum itself: 1 - 0.99 has an error of u, not of 0.01 u.
    arithmetic = u * (4 * np.abs(old) + 4 * momentum * np.abs(batch) + np.abs(batch - old))
    return rounded(momentum * batch_bound + arithmetic, result, precision.parameters)


def stored_variance_bound(variance: Real, bound: Array, factor: float, precision: Precision) -> Array:
    """Return the allowed error of the batch variance times Bessel's `factor`; the factor adds two roundings."""
    return factor * bound + 2 * precision.u * factor * high(variance)


@by_blocks
@_unbounded
def training_backward_bounds(
    x: Array,
    dy: Array,
    weight: Array,
    forward: Normalized,
    gradients: Gradients,
    bounds: ForwardBounds,
    precision: Precision,
) -> GradientBounds:
    """Return the allowed errors of a training backward pass.

    Parameters
    ----------
    x, dy : float64 arrays, shape (C, n)
    weight : float64 array, shape (C, 1)
    forward, gradients
        The oracle's values for these arguments.
    bounds : ForwardBounds
        Result of :func:`training_forward_bounds`: the backward pass uses the rounded statistics.
    """
    n = dy.shape[-1]
    u, tau = precision.u, precision.tau
    mu, r, xhat = high(forward.mean), high(forward.invstd), np.abs(high(forward.xhat))
    dx = high(gradients.dx)
    g, abs_dy = np.abs(weight), np.abs(dy)
    r_max = r + bounds.invstd
    eta = bounds.invstd / r  # relative error of invstd
    dbias, dweight = _parameter_gradient_bounds(dy, forward, gradients, bounds, precision)
    mean_dbias, mean_dweight = np.abs(high(gradients.dbias)) / n, np.abs(high(gradients.dweight)) / n
    mean_dbias_bound = dbias / n + 2 * u * mean_dbias
    mean_dweight_bound = dweight / n + 2 * u * mean_dweight
    xhat_bound = r_max * bounds.mean + (eta + 3 * u) * xhat + 2 * u * r_max * (np.abs(x) + np.abs(mu))
    # dx = weight invstd (dy - mean_dbias - xhat mean_dweight), each factor with its error.
    bound = g * r_max * (
        mean_dbias_bound
        + (xhat + xhat_bound) * mean_dweight_bound
        + mean_dweight * xhat_bound
        + 6 * u * (abs_dy + mean_dbias + xhat * mean_dweight)
    ) + (eta + 3 * u) * np.abs(dx)
    if precision.naive:
        # E[x^2] - E[x]^2 may be negative and is then clipped to 0, where autodiff finds no slope: the whole path
        # through the variance is lost.
        clipped = bounds.variance >= high(forward.variance)
        bound = bound + np.where(clipped, g * r_max * xhat * mean_dweight, 0.0)
    bound = bound + tau * (4 + 4 * g * r_max)
    return GradientBounds(
        rounded(bound, dx, precision.output),
        rounded(dweight, high(gradients.dweight), precision.parameters),
        rounded(dbias, high(gradients.dbias), precision.parameters),
    )


@by_blocks
@_unbounded
def inference_backward_bounds(
    dy: Array,
    weight: Array,
    forward: Normalized,
    gradients: Gradients,
    bounds: ForwardBounds,
    precision: Precision,
) -> GradientBounds:
    """Return the allowed errors of an inference backward pass; arguments as in :func:`training_backward_bounds`."""
    u, tau = precision.u, precision.tau
    g, r = np.abs(weight), high(forward.invstd)
    # The forward bound allows the folded form x * a + (bias - mean * a), so this bound allows its gradient.
    dbias, dweight = _parameter_gradient_bounds(dy, forward, gradients, bounds, precision, folded=True)
    dx = g * np.abs(dy) * (bounds.invstd + 5 * u * r) + tau * (2 + 2 * g * r)
    return GradientBounds(
        rounded(dx, high(gradients.dx), precision.output),
        rounded(dweight, high(gradients.dweight), precision.parameters),
        rounded(dbias, high(gradients.dbias), precision.parameters),
    )


def _parameter_gradient_bounds(
    dy: Array,
    forward: Normalized,
    gradients: Gradients,
    bounds: ForwardBounds,
    precision: Precision,
    *,
    folded: bool = False,
) -> tuple[Array, Array]:
    """Return the errors of the sums dbias and dweight before they are stored, columns (C, 1).

    `folded` allows invstd * (sum dy x - mean * sum dy), whose two sums grow with the mean.
    """
    n = dy.shape[-1]
    gamma, tau = precision.gamma, precision.tau
    height = precision.sum_height(n)
    mu, r, xhat = high(forward.mean), high(forward.invstd), np.abs(high(forward.xhat))
    r_max = r + bounds.invstd
    sum_dy = np.sum(np.abs(dy), axis=-1, keepdims=True)
    sum_dy_xhat = np.sum(np.abs(dy) * xhat, axis=-1, keepdims=True)
    dbias = gamma(height + 1) * sum_dy + n * tau
    eta = bounds.invstd / r
    # A shift of the mean moves every xhat equally, so it enters through sum dy = dbias, not through sum |dy|. But the
    # rounded summands are the shifted ones, dy (x - mu - shift) r, also in a constant channel.
    dweight = (
        eta * np.abs(high(gradients.dweight))
        + np.abs(high(gradients.dbias)) * r_max * bounds.mean
        + gamma(height + 6) * (sum_dy_xhat * (1 + eta) + r_max * bounds.mean * sum_dy)
        + (n + 4) * tau * (1 + r_max)
    )
    # The gradient's error in the folded form is linear in |mean| / sd, which grade W allows and T does not.
    if folded or precision.grade[1] != "T":
        # sum |dy x| <= sum |dy xhat| / r + |mu| sum |dy|, and |mu| sum |dy| once more; autodiff of
        # E[x^2] - E[x]^2 has the same error.
        dweight = dweight + 2 * gamma(height + 4) * r_max * np.abs(mu) * sum_dy
    return dbias, dweight
