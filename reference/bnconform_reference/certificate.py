"""Certificates: bounds on the error of the double-double oracle itself.

Errors propagate as in :mod:`bnconform_reference.error_bounds`, with the oracle's own constants (U = 2^-53):

- A double-double chain has a relative error of at most 16 U^2. The costliest, 14.5, is the mean square of deviations:
  twice 2 for the difference, 7 for the product, 3.5 for the division.
- A tree sum over n values has an error of at most ``2 L^2 U^2 sum|values|``, with L = ceil(log2 n).
- A product that underflows loses at most 4 times the smallest subnormal: its six partial products lose a half each,
  its sum one more.

The judge trusts an expected value only if its certificate is below a thousandth of the allowed error. A certificate
without a finite bound, for example if variance + eps is 0, is infinite, never NaN.
"""

from __future__ import annotations

from math import ceil, log2

import numpy as np

from bnconform_reference.blocks import by_blocks
from bnconform_reference.definition import Gradients, Normalized
from bnconform_reference.double_double import Array, high
from bnconform_reference.error_bounds import ForwardBounds, GradientBounds, unbounded_if_nan

U2 = 2.0**-106
OPERATION = 16 * U2
"""Relative error of one operation, or of a short chain of them."""
UNDERFLOW = 8 * 2.0**-1074
"""Absolute error of a product and the division after it near zero."""

_unbounded = np.errstate(divide="ignore", invalid="ignore", over="ignore")


def sum_error(n: int) -> float:
    """Return the error of a sum over n values, relative to the sum of their absolute values."""
    levels = ceil(log2(max(n, 2)))
    return (2 * levels**2 + 16) * U2


@by_blocks
@_unbounded
def certify_forward(
    x: Array, weight: Array, bias: Array, eps: float, forward: Normalized, *, training: bool
) -> ForwardBounds:
    """Bound ``|oracle - exact|`` for each value of an exact forward pass, in the oracle's shapes."""
    mu, s2, r = high(forward.mean), high(forward.variance), high(forward.invstd)
    deviation, g = np.abs(x - mu), np.abs(weight)
    if training:
        c = sum_error(x.shape[-1])
        mean = c * np.mean(np.abs(x), axis=-1, keepdims=True) + UNDERFLOW
        variance = c * s2 + mean**2 + UNDERFLOW
    else:
        mean, variance = np.zeros_like(mu), np.zeros_like(s2)
    # Adding eps loses up to 4 U^2 of the larger part, which matters if the two cancel (s2 < 0).
    relative = (variance + 4 * U2 * (np.abs(s2) + eps)) / (s2 + eps)
    # (1 - d)^(-1/2) - 1 <= d/2 (1 - d)^(-3/2), by the mean value theorem; from d = 1 on there is no bound.
    root = np.where(relative < 1, 0.5 * relative * (1 - relative) ** -1.5, np.inf)
    invstd = r * (root + OPERATION)
    xhat = (r + invstd) * mean + deviation * invstd + OPERATION * deviation * r + UNDERFLOW
    y = g * xhat + OPERATION * (g * deviation * r + np.abs(bias)) + UNDERFLOW
    return ForwardBounds(*(unbounded_if_nan(bound) for bound in (mean, variance, invstd, y)))


@by_blocks
@_unbounded
def certify_backward(
    x: Array,
    dy: Array,
    weight: Array,
    forward: Normalized,
    gradients: Gradients,
    certificate: ForwardBounds,
    *,
    training: bool,
) -> GradientBounds:
    """Bound ``|oracle - exact|`` for each value of an exact backward pass."""
    n = dy.shape[-1]
    c = sum_error(n)
    r, xhat, g, abs_dy = high(forward.invstd), np.abs(high(forward.xhat)), np.abs(weight), np.abs(dy)
    r_max = r + certificate.invstd
    xhat_error = (
        r_max * certificate.mean + np.abs(x - high(forward.mean)) * (certificate.invstd + OPERATION * r) + UNDERFLOW
    )
    dbias = c * np.sum(abs_dy, axis=-1, keepdims=True)
    relative_invstd = certificate.invstd / r + OPERATION
    # As in the error bounds: a shift of the mean enters through |sum dy|, and shifts the rounded summands.
    shift = r_max * certificate.mean
    rounded = np.sum(abs_dy * (xhat * (1 + relative_invstd) + shift), axis=-1, keepdims=True)
    dweight = (
        relative_invstd * np.abs(high(gradients.dweight))
        + shift * np.abs(high(gradients.dbias))
        + c * rounded
        + UNDERFLOW * (n + np.sum(abs_dy, axis=-1, keepdims=True))
    )
    centred = abs_dy
    propagated = np.zeros_like(dy)
    if training:
        mean_dbias, mean_dweight = np.abs(high(gradients.dbias)) / n, np.abs(high(gradients.dweight)) / n
        centred = abs_dy + mean_dbias + xhat * mean_dweight
        propagated = dbias / n + (xhat + xhat_error) * dweight / n + xhat_error * mean_dweight
        propagated = propagated + OPERATION * centred + UNDERFLOW
    dx = relative_invstd * np.abs(high(gradients.dx)) + g * r_max * propagated
    dx = dx + UNDERFLOW * (1 + g + centred)  # weight * invstd may underflow before it multiplies
    return GradientBounds(*(unbounded_if_nan(bound) for bound in (dx, dweight, dbias)))
