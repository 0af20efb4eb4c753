"""Debiased averages: moving averages from 0, divided by the weight of the batches seen, as Adam's are."""

from __future__ import annotations

from math import exp, expm1, log1p

import numpy as np

from bnconform_reference.double_double import Array
from bnconform_reference.error_bounds import running_bound
from bnconform_reference.precision import UNIT_ROUNDOFF, Precision
from bnconform_reference.running_statistics import cumulative_momentum


def debiased_momentum(momentum: float, batches_seen: int) -> float:
    """The momentum that turns `update` into the debiased average, for the batch that makes it this many.

    Kingma and Ba, "Adam" (2015), section 3: an average from 0, h_k = (1 - m) h_{k-1} + m b_k, is divided by the weight
    of the k batches, s_k = 1 - (1 - m)^k. With a_k = h_k / s_k that is a_k = a_{k-1} + (m / s_k) (b_k - a_{k-1}). The
    limit of m = 0 is the plain average.
    """
    if momentum == 1.0 or batches_seen == 1:
        return 1.0
    if momentum == 0.0:
        return cumulative_momentum(batches_seen)
    return momentum / weight_of_batches(momentum, batches_seen)


def weight_of_batches(momentum: float, batches_seen: int) -> float:
    """``1 - (1 - m)^k``, what all batches weigh together against the initial value, for m in (0, 1)."""
    return -expm1(batches_seen * log1p(-momentum))


def debiased_running_bound(
    old: Array, batch: Array, batch_bound: Array, momentum: float, batches: int, precision: Precision
) -> Array:
    """Allowed error of a debiased average after its first batches, stored as the parameters' dtype.

    It is ``((1 - m) s old + m batch) / s'``, with s = 1 - (1 - m)^(k - 1) and s' = 1 - (1 - m)^k for the k-th batch.
    Rounding 1 - m moves the weight w = m / s' by less than itself, since dw/dm <= 1: :func:`running_bound` has that,
    and the roundings of products and sums. Here are those of s and s'. A power p = (1 - m)^j computed as exp(j log(1 -
    m)) is off by 4 u p (1 + |j log(1 - m)|), which 1 - p has relative to 1 - p; two roundings more are those of the
    difference and the division. The oracle's own w is off by 4 roundings in float64.

    Parameters
    ----------
    old, batch, batch_bound
        As :func:`running_bound` has them.
    momentum : float
        m, in (0, 1].
    batches : int
        k, at least 1.
    """
    weight = debiased_momentum(momentum, batches)
    bound = running_bound(old, batch, batch_bound, weight, precision)
    kept, taken = (1 - weight) * np.abs(old), weight * np.abs(batch)
    more = _share_error(momentum, batches, precision.u) * (kept + taken)
    if batches > 1:
        more = more + _share_error(momentum, batches - 1, precision.u) * kept
    return bound + more * (1 + 8 * precision.u) + 4 * UNIT_ROUNDOFF["float64"] * weight * np.abs(batch - old)


def _share_error(momentum: float, batches: int, u: float) -> float:
    """Relative error of 1 - (1 - m)^k, and of the division by it."""
    if momentum == 1.0:
        return 2 * u
    exponent = batches * log1p(-momentum)
    return 4 * u * exp(exponent) * (1 - exponent) / -expm1(exponent) + 2 * u
