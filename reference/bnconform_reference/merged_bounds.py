"""Allowed errors of statistics that several devices merge from their shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform_reference.double_double import Array
from bnconform_reference.precision import Precision


def merged_bounds(
    x: Array, mu: Array, s2: Array, mean: Array, variance: Array, counts: Sequence[int], precision: Precision
) -> tuple[Array, Array]:
    """Return bounds of mean and variance that are merged from the statistics of shards.

    A shard's mean m_i has the share w_i of the values and an error ``e_i <= g_i mean(|x|)``. One way to merge is a
    weighted sum of means, with `merges` additions and four more roundings. The other is Chan's formula
    ``a + (b - a) n_b / n``, whose three roundings of b - a do not vanish if n_b is much larger than n_a. Let D be the
    largest distance of a shard's mean to mu. Then ``|b - a| <= 2 D``, and the result is at most ``|mu| + D``. So a
    merge has the error ``u (7 D + |mu|)``, which later merges only reduce.

    The sum of squares consists of the shards' sums, with their own errors, and ``sum n_i (m_i - mu)^2``. The latter is
    the sum over merges of ``d^2 n_a n_b / n``, d = b - a, with six roundings each; its derivative by m_i is
    ``2 n_i (m_i - mu)``. If a is a merged mean, its error is also in d. Since ``|d| n_a n_b / n^2 <= sqrt(s2) / 2``,
    this adds at most sqrt(s2) times the error.

    Parameters
    ----------
    x : float64 array, shape (C, n)
    mu, s2 : float64 arrays, shape (C, 1)
        Exact mean and biased variance of x.
    mean, variance : float64 arrays, shape (C, 1)
        Bounds for a single batch; the bounds for shards are at least as large.
    counts : sequence of int
        Number of columns of each shard, none 0.
    precision : Precision
    """
    n, merges, gamma = x.shape[-1], len(counts) - 1, precision.gamma
    parts = np.split(x, np.cumsum(counts)[:-1], axis=-1)
    farthest, first, second, weighted = (np.zeros_like(mu) for _ in range(4))
    for part, count in zip(parts, counts, strict=True):
        share, own = count / n, part.mean(axis=-1, keepdims=True)
        e = gamma(precision.sum_height(count) + 4) * np.mean(np.abs(part), axis=-1, keepdims=True) + 2 * precision.tau
        inside = 0.0 if precision.grade[1] == "T" else part.std(axis=-1, keepdims=True)  # Welford's means err too
        farthest = np.maximum(farthest, np.abs(own - mu))
        weighted = weighted + share * e
        first = first + 2 * share * (np.abs(own - mu) + inside) * e
        second = second + share * e**2
    weighted = weighted + gamma(merges + 4) * np.mean(np.abs(x), axis=-1, keepdims=True)
    weighted = np.maximum(mean, weighted + 2 * merges * precision.tau)
    merging = gamma(7 * merges) * (farthest + weighted) + gamma(merges) * (np.abs(mu) + weighted)
    mean = weighted + merging
    roundings = gamma(precision.sum_height(n) + 5 + 6 * merges) * (s2 + mean**2)
    later = (merges - 1) * np.sqrt(s2) * merging
    return mean, np.maximum(variance, roundings + first + second + later + mean**2)
