"""Running statistics: moving and cumulative averages, and the statistics of a whole population."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.dialect import Dialect
from bnconform_reference.double_double import Array, Real


def update(old: Real, batch: Real, momentum: float) -> Real:
    """Return ``(1 - momentum) old + momentum batch``, exact for momentum 0 and 1.

    `momentum` weighs the new batch. Pass `old` as a double-double to get a double-double.
    """
    if momentum == 1.0:
        return batch
    return old + (batch - old) * momentum


def cumulative_momentum(batches_seen: int) -> float:
    """Return the momentum with which :func:`update` gives the plain average; `batches_seen` includes the new batch."""
    return 1.0 / batches_seen


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of a set of values, per channel.

    Attributes
    ----------
    count : int
        Number of values per channel, 0 for an empty set.
    mean, squares : float64 arrays, shape (C,)
        The mean, and sum((x - mean)^2).
    """

    count: int
    mean: Array
    squares: Array

    def variance(self, *, unbiased: bool = False) -> Array:
        """Return ``squares / (n - 1)`` or ``squares / n``, shape (C,).

        Raises
        ------
        ValueError
            The divisor is below 1.
        """
        divisor = self.count - 1 if unbiased else self.count
        if divisor < 1:
            needed = "2 for an unbiased variance" if unbiased else "1"
            raise ValueError(f"the set has {self.count} values per channel; its variance needs at least {needed}")
        return self.squares / divisor


def moments(x: NDArray[Any]) -> Moments:
    """Compute the moments of one batch (N, C, *spatial) by the two-pass formula in float64."""
    rows = channel_rows(x)
    n = rows.shape[1]
    if n == 0:
        return Moments(0, np.zeros(rows.shape[0]), np.zeros(rows.shape[0]))
    mean = rows.mean(axis=1)
    return Moments(n, mean, np.square(rows - mean[:, None]).sum(axis=1))


def merge(a: Moments, b: Moments) -> Moments:
    """Merge the moments of two disjoint sets, each possibly empty.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (The American Statistician 37,
    1983), formula 2.1.
    """
    count = a.count + b.count
    if a.count == 0 or b.count == 0:
        return b if a.count == 0 else a
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    return Moments(count, mean, a.squares + b.squares + delta * delta * (a.count * b.count / count))


def population_moments(batches: Iterable[NDArray[Any]]) -> Moments:
    """Compute the moments of an entire data set from batches (N_i, C, *spatial) of any sizes.

    Raises
    ------
    ValueError
        The data set has no batch, or the batches differ in the number of channels.
    """
    result: Moments | None = None
    for batch in batches:
        part = moments(batch)
        if result is not None and part.mean.shape != result.mean.shape:
            raise ValueError(
                f"a batch has {part.mean.size} channels, the batches before it have {result.mean.size}; "
                "pass batches of one data set"
            )
        result = part if result is None else merge(result, part)
    if result is None:
        raise ValueError("the data set has no batches; pass at least one")
    return result


def stored_variance(batch_variance: Real, n: int, dialect: Dialect) -> Real:
    """Return the variance that a training step on n values per channel blends into the running variance."""
    return batch_variance * dialect.bessel_factor(n)
