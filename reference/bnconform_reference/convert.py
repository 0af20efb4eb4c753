"""Convert a trained layer's statistics and settings from one implementation's dialect to another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.dialect import Dialect
from bnconform_reference.double_double import Array


@dataclass(frozen=True, eq=False)
class Converted:
    """Statistics and settings in the target's dialect.

    Attributes
    ----------
    running_mean, running_var : float64 arrays, shape (C,)
    momentum : float or None
        Momentum as the target defines it; None is the plain average of all batches.
    eps : float
        The source's eps; the target must be built with it.
    exact : bool
        Whether the statistics are, up to rounding, those that the target would have computed itself. False if the
        share of the initial values is unknown.
    differences : tuple of str
        Remaining differences, one line each.
    """

    running_mean: Array
    running_var: Array
    momentum: float | None
    eps: float
    exact: bool
    differences: tuple[str, ...] = ()


def convert_statistics(
    running_mean: NDArray[Any],
    running_var: NDArray[Any],
    *,
    source: Dialect,
    target: Dialect,
    momentum: float | None,
    eps: float,
    target_eps: float | None = None,
    n: int | NDArray[np.integer[Any]] | None = None,
    steps: int | None = None,
) -> Converted:
    r"""Convert a layer's running statistics, momentum and eps from one dialect to another.

    The caller renames and rearranges the parameters; weight and bias mean the same everywhere.

    After k steps with weight m of the new batch, the running variance is

    .. math:: R_k = (1-m)^k R_0 + m \sum_{i=1}^k (1-m)^{k-i} c\, v_i,

    with v_i the biased variance of batch i and c = n / (n - 1) for unbiased stored variances, else 1. The target has
    R_0' and c' instead of R_0 and c, so that for batches of one size n

    .. math:: R_k' = (1-m)^k R_0' + \frac{c'}{c} \left(R_k - (1-m)^k R_0\right).

    The initial value is not a batch's variance, and does not scale. With momentum None its share is 0 instead of
    (1-m)^k. Without `steps` the share is assumed to be 0, R_k' = (c' / c) R_k, which has the error
    (1-m)^k (R_0' - (c' / c) R_0): from R_0 = R_0' = 1 and unbiased to biased, that is (1-m)^k / n. The running mean has
    c = c' = 1. For debiased statistics, the sum is divided by 1 - (1-m)^k, and the initial value vanishes with the
    first batch.

    Parameters
    ----------
    running_mean, running_var : arrays, shape (C,)
        Running statistics of the source.
    source, target : Dialect
    momentum : float or None
        Momentum as the source defines it, constant during training.
    eps : float
        Eps of the source.
    target_eps : float or None
        Eps of the target, if already fixed.
    n : int, or integer array of shape (C,), or None
        Number of values per channel in a training batch, N times the positions; needed if the stored variances differ.
    steps : int or None
        Number k of training batches that updated the statistics.

    Raises
    ------
    ValueError
        n is missing although needed, or not positive; steps is negative; steps is missing although the initial values
        or the debiasing differ; momentum is out of [0, 1], or None although the target has no plain average.
    """
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum}; pass the source's own, in [0, 1], or None")
    if momentum is None and not target.cumulative:
        raise ValueError("momentum is None, which the target does not offer; pass a number")
    if steps is not None and steps < 0:
        raise ValueError(f"steps is {steps}; pass the number of training batches, 0 or more")
    mean, var = (np.asarray(array, np.float64) for array in (running_mean, running_var))
    factor = _factor(source, target, n)
    means_differ = source.initial_mean != target.initial_mean
    if steps is None and (means_differ or source.initial_variance != target.initial_variance):
        raise ValueError("the dialects start from other statistics; pass steps, the number of training batches")
    if steps is None and source.debiased != target.debiased:
        raise ValueError("one of the dialects debiases its statistics; pass steps, the number of training batches")
    share = 0.0 if steps is None else _initial_share(source, momentum, steps)
    own_sense = source.momentum_weighs == target.momentum_weighs or momentum is None
    starts = source.initial_mean, target.initial_mean, source.initial_variance, target.initial_variance
    if source.debiased or target.debiased:
        debiased = source.debiased, target.debiased
        mean = _rebiased(mean, starts[:2], np.ones(()), share, debiased)
        var = _rebiased(var, starts[2:], factor, share, debiased)
    else:
        mean = mean + share * (target.initial_mean - source.initial_mean)
        var = (
            share * target.initial_variance + factor * (var - share * source.initial_variance)
            if (np.asarray(factor) != 1).any() or source.initial_variance != target.initial_variance
            else var.copy()
        )
    return Converted(
        running_mean=mean,
        running_var=var,
        momentum=momentum if own_sense or momentum is None else 1 - momentum,
        eps=eps,
        exact=steps is not None or bool((np.asarray(factor) == 1).all()),
        differences=tuple(_differences(source, target, eps, target_eps)),
    )


def _rebiased(
    value: Array, starts: tuple[float, float], factor: Array, share: float, debiased: tuple[bool, bool]
) -> Array:
    """Convert a statistic if source, target or both debias, through the sum over batches."""
    if share == 1.0:  # no batch yet
        return np.full_like(value, starts[1])
    if all(debiased):
        return factor * value
    batches = (1 - share) * value if debiased[0] else value - share * starts[0]
    return factor * batches / (1 - share) if debiased[1] else share * starts[1] + factor * batches


def _factor(source: Dialect, target: Dialect, n: int | NDArray[np.integer[Any]] | None) -> Array:
    """Return the target's stored variance of a batch divided by the source's: the ratio of their Bessel factors."""
    if source.stored_variance == target.stored_variance:
        return np.ones(())
    if n is None:
        raise ValueError(
            f"running_var holds {source.stored_variance} variances, the target's {target.stored_variance} ones; "
            "pass n, the values per channel of the training batches"
        )
    sizes = np.asarray(n)
    if not np.issubdtype(sizes.dtype, np.integer) or (sizes < 1).any():
        raise ValueError(f"n is {n}; pass the values per channel of the training batches, whole numbers from 1")
    factors = [target.bessel_factor(int(size)) / source.bessel_factor(int(size)) for size in sizes.ravel()]
    return np.asarray(factors).reshape(sizes.shape)


def _initial_share(source: Dialect, momentum: float | None, steps: int) -> float:
    """Return (1 - m)^k, the weight of the initial value after k steps."""
    if momentum is None:
        return float(steps == 0)
    old_weight = 1 - momentum if source.momentum_weighs == "new" else momentum
    return float(old_weight**steps)


def _differences(source: Dialect, target: Dialect, eps: float, target_eps: float | None) -> list[str]:
    found = []
    if target_eps is not None and target_eps != eps:
        found.append(
            f"y: the source adds eps {eps:g} to the variance, the target {target_eps:g}; build it with {eps:g}"
        )
    if source.one_value != target.one_value:
        found.append(f"training on one value per channel: {source.one_value}, then {target.one_value}")
    if source.empty_batch != target.empty_batch:
        found.append(f"training on an empty batch: {source.empty_batch}, then {target.empty_batch}")
    return found
