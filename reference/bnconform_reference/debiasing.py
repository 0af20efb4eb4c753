"""Debiased averages: moving averages from 0, divided by the weight of the batches seen, as in Adam."""

from __future__ import annotations

from math import exp, expm1, log1p

import numpy as np

from bnconform_reference.double_double import Array
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import UNIT_ROUNDOFF, Precision
from bnconform_reference.running_statistics import cumulative_momentum


def debiased_momentum(momentum: float, batches_seen: int) -> float:
    """Return the momentum with which `update` gives the debiased average; `batches_seen` includes the new batch.

    Kingma and Ba, "Adam" (2015), section 3: an average from 0, h_k = (1 - m) h_{k-1} + m b_k, is divided by the weight
    of the k batches, s_k = 1 - (1 - m)^k. With a_k = h_k / s_k, a_k = a_{k-1} + (m / s_k) (b_k - a_{k-1}). The limit
    for m = 0 is the plain average.
    """
    if momentum == 1.0 or batches_seen == 1:
        return 1.0
    if momentum == 0.0:
        return cumulative_momentum(batches_seen)
    return momentum / weight_of_batches(momentum, batches_seen)


def weight_of_batches(momentum: float, batches_seen: int) -> float:
    """Return ``1 - (1 - m)^k``, the weight of all k batches against the initial value, for m in (0, 1)."""
    return -expm1(batches_seen * log1p(-momentum))


def debiased_running_bound(
    old: Array, batch: Array, batch_bound: Array, momentum: float, batches: int, precision: Precision
) -> Array:
    """Return the allowed error of a debiased average after its first batches, stored in the parameters' dtype.

    The average is ``((1 - m) s old + m batch) / s'``, with s = 1 - (1 - m)^(k - 1) and s' = 1 - (1 - m)^k for the k-th
    batch. Rounding 1 - m changes the weight w = m / s' by no more than the rounding, since dw/dm <= 1;
    :func:`running_bound` includes that and the roundings of products and sums. This function adds the errors of s and
    s'. A power p = (1 - m)^j computed as exp(j log(1 - m)) has the error 4 u p (1 + |j log(1 - m)|), so 1 - p has the
    same error; the difference and the division are two roundings more. The oracle's own w has 4 roundings in float64.

    Parameters
    ----------
    old, batch, batch_bound
        As in :func:`running_bound`.
    momentum : float
        m, in (0, 1].
    batches : int
        k, at least 1.
    """
    weight = debiased_momentum(momentum, batches)
    bound = running_bound(old, batch, batch_bound, weight, precision)
    old_part, new_part = (1 - weight) * np.abs(old), weight * np.abs(batch)
    more = _share_error(momentum, batches, precision.u) * (old_part + new_part)
    if batches > 1:
        more = more + _share_error(momentum, batches - 1, precision.u) * old_part
    return bound + more * (1 + 8 * precision.u) + 4 * UNIT_ROUNDOFF["float64"] * weight * np.abs(batch - old)


def _share_error(momentum: float, batches: int, u: float) -> float:
    """Return the relative error of a quotient by 1 - (1 - m)^k: that of the divisor plus that of the division."""
    if momentum == 1.0:
        return 2 * u
    exponent = batches * log1p(-momentum)
    return 4 * u * exp(exponent) * (1 - exponent) / -expm1(exponent) + 2 * u
