"""From one dialect to another: what a trained layer's numbers become in another implementation."""

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
        In the target's own sense; None is the plain average of all batches.
    eps : float
        What the target must be built with: the source's.
    exact : bool
        Whether the statistics are, up to rounding, those that the target would have moved to itself. False where
        the initial values' share is not known.
    differences : tuple of str
        What will differ nevertheless, a line each; empty where nothing will.
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

    Names and layout of the parameters stay the caller's; weight and bias mean the same everywhere.

    After k steps with weight m of the new batch, the running variance is

    .. math:: R_k = (1-m)^k R_0 + m \sum_{i=1}^k (1-m)^{k-i} c\, v_i,

    with v_i the biased variance of batch i and c = n / (n - 1) where unbiased variances are stored, else 1. In the
    target R_0' and c' take the places of R_0 and c, so that for batches of one size n

    .. math:: R_k' = (1-m)^k R_0' + \frac{c'}{c} \left(R_k - (1-m)^k R_0\right).

    The initial value is no variance of a batch, and does not scale. With momentum None its share is 0 rather than
    (1-m)^k. Without `steps` the share is taken as 0, R_k' = (c' / c) R_k, which is off by
    (1-m)^k (R_0' - (c' / c) R_0): after k steps from R_0 = R_0' = 1, by (1-m)^k / n from unbiased to biased. The
    running mean has c = c' = 1. Where statistics are debiased, the sum is divided by 1 - (1-m)^k and the initial value
    is gone from the first batch on.

    Parameters
    ----------
    running_mean, running_var : arrays, shape (C,)
        The source's.
    source, target : Dialect
    momentum : float or None
        The source's, in its own sense; the same through all of training.
    eps : float
        The source's.
    target_eps : float or None
        What the target adds to the variance, if that is settled already.
    n : int, or integer array of shape (C,), or None
        Values per channel of the training batches, N times the positions; needed where the stored variances differ.
    steps : int or None
        k, the number of training batches that moved the statistics.

    Raises
    ------
    ValueError
        n is needed and not given or not positive, steps is negative, the initial values or the debiasing differ and
        steps is not given, momentum is out of [0, 1], or it is None and the target offers no plain average.
    """
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum}; pass the source's own, in [0, 1], or None")
    if momentum is None and not target.cumulative:
        raise ValueError("momentum is None, which the target does not offer; pass a number to go on with")
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
    """A statistic where source, target or both debias: the sum over batches, as each of them stores it."""
    if share == 1.0:  # no batch yet
        return np.full_like(value, starts[1])
    if all(debiased):
        return factor * value
    batches = (1 - share) * value if debiased[0] else value - share * starts[0]
    return factor * batches / (1 - share) if debiased[1] else share * starts[1] + factor * batches


def _factor(source: Dialect, target: Dialect, n: int | NDArray[np.integer[Any]] | None) -> Array:
    """c' / c, by which a batch's stored variance differs."""
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
    """(1 - m)^k, the weight that the initial value still has."""
    if momentum is None:
        return float(steps == 0)
    kept = 1 - momentum if source.momentum_weighs == "new" else momentum
    return float(kept**steps)


def _differences(source: Dialect, target: Dialect, eps: float, target_eps: float | None) -> list[str]:
    told = []
    if target_eps is not None and target_eps != eps:
        told.append(f"y: the source adds eps {eps:g} to the variance, the target {target_eps:g}; build it with {eps:g}")
    if source.one_value != target.one_value:
        told.append(f"training on one value per channel: {source.one_value}, then {target.one_value}")
    if source.empty_batch != target.empty_batch:
        told.append(f"training on an empty batch: {source.empty_batch}, then {target.empty_batch}")
    return told
