"""Allowed errors of statistics that are merged from those of shards, as several devices have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform_reference.double_double import Array
from bnconform_reference.precision import Precision


def merged_bounds(
    x: Array, mu: Array, s2: Array, mean: Array, variance: Array, counts: Sequence[int], precision: Precision
) -> tuple[Array, Array]:
    """Bounds of mean and variance, once the statistics of shards of so many columns are merged.

    A shard's mean m_i, which has the share w_i of the values, is off by ``e_i <= g_i mean(|x|)``. Means are added up
    weighted, which is `merges` additions and four roundings more; or merged by Chan's formula ``a + (b - a) n_b / n``,
    whose three roundings of b - a do not fade where n_b is much larger than n_a. With D the largest distance of a
    shard's mean to mu, ``|b - a| <= 2 D``, and the result is at most ``|mu| + D``: a merge is off by
    ``u (7 D + |mu|)``, and what it is off by only shrinks in those after it.

    Squares are those of the shards, with their own errors, and ``sum n_i (m_i - mu)^2``, put together from
    ``d^2 n_a n_b / n`` of every merge, d = b - a, with six roundings each. Its derivative by m_i is
    ``2 n_i (m_i - mu)``. Of a mean that is merged itself d takes the merge's error, too; since
    ``|d| n_a n_b / n^2 <= sqrt(s2) / 2``, that is at most sqrt(s2) times the error.

    Parameters
    ----------
    x : float64 array, shape (C, n)
    mu, s2 : float64 arrays, shape (C, 1)
        Its exact mean and biased variance.
    mean, variance : float64 arrays, shape (C, 1)
        Their bounds in a single batch; what is allowed of shards is no less.
    counts : sequence of int
        Columns of each shard, none of them empty.
    precision : Precision
    """
    n, merges, gamma = x.shape[-1], len(counts) - 1, precision.gamma
    parts = np.split(x, np.cumsum(counts)[:-1], axis=-1)
    farthest, first, second, weighted = (np.zeros_like(mu) for _ in range(4))
    for part, count in zip(parts, counts, strict=True):
        share, own = count / n, part.mean(axis=-1, keepdims=True)
        e = gamma(precision.sum_height(count) + 4) * np.mean(np.abs(part), axis=-1, keepdims=True) + 2 * precision.tau
        inside = 0.0 if precision.grade[1] == "T" else part.std(axis=-1, keepdims=True)  # Welford's means err, too
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
