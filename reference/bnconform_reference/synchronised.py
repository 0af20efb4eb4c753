"""Batch norm over several devices: each has a shard of the batch, and all normalize by the whole batch's statistics.

Devices exchange little: per channel a count, a mean and a sum of squares in the forward pass, two sums in the backward
pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows
from bnconform_reference.double_double import Array
from bnconform_reference.running_statistics import Moments, merge, moments


@dataclass(frozen=True)
class Shard:
    """Results of one device's forward pass.

    Attributes
    ----------
    y : float64 array, shape of the device's x
    xhat : float64 array, shape (C, n_i)
    invstd, weight : float64 arrays, shape (C, 1)
    count : int
        Number of values per channel of the whole batch.
    """

    y: Array
    xhat: Array
    invstd: Array
    weight: Array
    count: int


def merged_moments(shards: Sequence[NDArray[Any]]) -> Moments:
    """Compute the moments of the whole batch from its shards (N_i, C, *spatial) of any sizes, including empty ones.

    Each device computes its own moments in two passes. Chan's formula merges them, see
    :func:`~bnconform_reference.running_statistics.merge`.
    """
    return reduce(merge, map(moments, shards))


def forward_shard(
    x: NDArray[Any], weight: NDArray[Any] | None, bias: NDArray[Any] | None, whole: Moments, eps: float
) -> Shard:
    """Normalize one device's x, shape (N_i, C, *spatial), by the moments of the whole batch."""
    rows = channel_rows(x)
    channels = rows.shape[0]
    scale, shift = channel_column(weight, channels, 1.0), channel_column(bias, channels, 0.0)
    invstd = 1.0 / np.sqrt(whole.variance() + eps)[:, None]
    xhat = (rows - whole.mean[:, None]) * invstd
    return Shard(from_channel_rows(scale * xhat + shift, x.shape), xhat, invstd, scale, whole.count)


def gradient_sums(dy: NDArray[Any], shard: Shard) -> tuple[Array, Array]:
    """Compute a device's part of dbias = sum(dy) and of dweight = sum(dy xhat); shapes (C,)."""
    rows = channel_rows(dy)
    return rows.sum(axis=1), (rows * shard.xhat).sum(axis=1)


def backward_shard(dy: NDArray[Any], shard: Shard, sum_dy: Array, sum_dy_xhat: Array) -> Array:
    """Compute one device's dx from the whole batch's dbias and dweight, the sums of all devices' parts.

    ``dx = weight invstd (dy - mean(dy) - xhat mean(dy xhat))`` (Ioffe and Szegedy 2015, section 3), with means over the
    whole batch.
    """
    means = (sums[:, None] / shard.count for sums in (sum_dy, sum_dy_xhat))
    mean_dy, mean_dy_xhat = means
    dx = shard.weight * shard.invstd * (channel_rows(dy) - mean_dy - shard.xhat * mean_dy_xhat)
    return from_channel_rows(dx, dy.shape)
