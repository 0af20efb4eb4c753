"""Batch norm with one mistake: the results of each common error in the formulas, in float64.

Every entry is a sentence and a function of a :class:`Setting`; y and dx are rows (C, n), the others columns (C, 1). If
two entries of a table give the same results under some claims, the first one is named. Without a bias, for example,
"weight is ignored" and "weight and bias are ignored" are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bnconform.diagnosis.setting import Setting
from bnconform_adapters.claims import Claims
from bnconform_reference.double_double import Array

Mistake: TypeAlias = Callable[[Setting], Array]


def _y(s: Setting, mean: Array, invstd: Array) -> Array:
    return s.weight * (s.x - mean) * invstd + s.bias


def _root(s: Setting, variance: Array, eps: float) -> Array:
    return _y(s, s.mean, 1 / np.sqrt(variance + eps))


def _over(s: Setting, axes: tuple[int, ...]) -> Array:
    """y normalized by statistics over other axes of x, which has shape (C, N, positions)."""
    x = s.x.reshape(len(s.x), s.samples, -1)
    if axes == (2,) and x.shape[2] == 1:  # (N, C) has no instances
        return _y(s, s.mean, s.invstd)
    xhat = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + s.eps)
    return np.asarray(s.weight * xhat.reshape(s.x.shape) + s.bias)


_ROOTS: dict[str, Mistake] = {
    "eps is outside the root": lambda s: _y(s, s.mean, 1 / (np.sqrt(s.variance) + s.eps)),
    "eps is left out": lambda s: _root(s, s.variance, 0.0),
    "eps is added twice": lambda s: _root(s, s.variance, 2 * s.eps),
    "eps is squared": lambda s: _root(s, s.variance, s.eps**2),
    "x is divided by the square of variance + eps": lambda s: _y(s, s.mean, 1 / (s.variance + s.eps) ** 2),
    "weight loses its sign": lambda s: np.abs(s.weight) * s.xhat + s.bias,
    "eps is a floor: max(variance, eps) is taken, not variance + eps": lambda s: _root(
        s, np.maximum(s.variance, s.eps), 0.0
    ),
    "eps below 1e-5 is raised to it": lambda s: _root(s, s.variance, max(s.eps, 1e-5)),
    "eps is always 1e-5": lambda s: _root(s, s.variance, 1e-5),
    "eps is always 1e-3": lambda s: _root(s, s.variance, 1e-3),
    "x is divided by the variance, not by its root": lambda s: _y(s, s.mean, 1 / (s.variance + s.eps)),
    "the mean is not subtracted": lambda s: _y(s, np.zeros_like(s.mean), s.invstd),
    "weight is ignored": lambda s: s.xhat + s.bias,
    "bias is ignored": lambda s: s.weight * s.xhat,
    "weight and bias are ignored": lambda s: s.xhat,
    "weight and bias change places": lambda s: s.bias * s.xhat + s.weight,
    "bias is added before weight multiplies": lambda s: s.weight * (s.xhat + s.bias),
    "the mean is subtracted after x is scaled, itself unscaled": lambda s: s.x * s.weight * s.invstd + s.bias - s.mean,
    "y is x": lambda s: s.x,
}


def _by_moved(s: Setting) -> Array:
    mean, variance = ((1 - s.m) * old + s.m * new for old, new in ((s.old_mean, s.mean), (s.old_var, s.variance)))
    return _y(s, mean, 1 / np.sqrt(variance + s.eps))


TRAINING_Y: dict[str, Mistake] = _ROOTS | {
    "the variance that normalizes divides by n - 1": lambda s: _root(s, s.variance * s.bessel, s.eps),
    "xhat is scaled by the root of (n - 1) / n": lambda s: s.weight * s.xhat / np.sqrt(s.bessel) + s.bias,
    "the running statistics normalize in training": lambda s: _y(s, s.old_mean, 1 / np.sqrt(s.old_var + s.eps)),
    "the running statistics normalize in training, after the batch has moved them": _by_moved,
    "the variance is E[x^2]: the mean is not taken out of it": lambda s: _root(s, s.variance + s.mean**2, s.eps),
    "the variance is taken around the running mean": lambda s: _root(s, s.variance + (s.mean - s.old_mean) ** 2, s.eps),
    "x is divided by the mean absolute deviation, not by the root of the variance": lambda s: _root(
        s, np.abs(s.x - s.mean).mean(axis=1, keepdims=True) ** 2, s.eps
    ),
    "each sample is normalized by itself, as in instance normalization": lambda s: _over(s, (2,)),
    "each sample is normalized over its channels, as in layer normalization": lambda s: _over(s, (0, 2)),
    "one mean and one variance serve all channels": lambda s: _over(s, (0, 1, 2)),
}

INFERENCE_Y: dict[str, Mistake] = _ROOTS | {
    "inference normalizes by the batch's own statistics": lambda s: _y(
        s, s.batch_mean, 1 / np.sqrt(s.batch_var + s.eps)
    ),
    "the running variance is multiplied by n / (n - 1) again": lambda s: _root(s, s.variance * s.bessel, s.eps),
    "the running variance is taken for 1 / sqrt(variance + eps)": lambda s: _y(s, s.mean, s.variance),
    "the running variance is taken for a standard deviation": lambda s: _root(s, s.variance**2, s.eps),
}


def _blend(momentum: float, old: Array, new: Array) -> Array:
    return (1 - momentum) * old + momentum * new


def _blends(batch: Mistake, old: Callable[[Setting], Array]) -> dict[str, Mistake]:
    """Mistakes of any moving average."""
    return {
        "momentum is swapped: it weighs the other term": lambda s: s.m * old(s) + (1 - s.m) * batch(s),
        "not updated": old,
        "replaced by the batch's value": batch,
        "a step updates twice": lambda s: (1 - s.m) ** 2 * old(s) + (1 - (1 - s.m) ** 2) * batch(s),
        "momentum is always 0.1": lambda s: 0.9 * old(s) + 0.1 * batch(s),
        "momentum is always 0.01": lambda s: 0.99 * old(s) + 0.01 * batch(s),
        "momentum 0 takes the batch's value alone": lambda s: _blend(s.m or 1.0, old(s), batch(s)),
        "momentum 0 counts as not given: 0.1 is taken": lambda s: _blend(s.m or 0.1, old(s), batch(s)),
        "momentum past 0.5 is taken for the old value's weight": lambda s: _blend(min(s.m, 1 - s.m), old(s), batch(s)),
        "the old value is dropped": lambda s: s.m * batch(s),
        "the old value is not decayed": lambda s: old(s) + s.m * batch(s),
        "the batch's value is added whole": lambda s: (1 - s.m) * old(s) + batch(s),
        "the batch's value is added whole, and momentum weighs the old one": lambda s: s.m * old(s) + batch(s),
    }


def _var(batch: Mistake) -> Mistake:
    return lambda s: (1 - s.m) * s.old_var + s.m * batch(s)


RUNNING_MEAN: dict[str, Mistake] = _blends(lambda s: s.batch_mean, lambda s: s.old_mean) | {
    "the sum is stored, not the mean": lambda s: (1 - s.m) * s.old_mean + s.m * s.n * s.batch_mean,
    "mean and variance change places": lambda s: (1 - s.m) * s.old_var + s.m * s.batch_stored,
}
RUNNING_VAR: dict[str, Mistake] = _blends(lambda s: s.batch_stored, lambda s: s.old_var) | {
    "the stored variance divides by n: it is biased": _var(lambda s: s.batch_var),
    "the stored variance divides by n - 1: it is unbiased": _var(lambda s: s.batch_var * s.bessel),
    "the stored variance is multiplied by n / (n - 1) once too often": _var(lambda s: s.batch_stored * s.bessel),
    "the stored variance divides by N - 1, N the samples, not by n - 1": _var(
        lambda s: s.batch_var * (s.samples / max(s.samples - 1, 1))
    ),
    "the stored variance includes eps": _var(lambda s: s.batch_stored + s.eps),
    "the stored variance includes eps, before Bessel's correction": _var(
        lambda s: (s.batch_var + s.eps) * s.batch_stored / s.batch_var
    ),
    "the standard deviation is stored, not the variance": _var(lambda s: np.sqrt(s.batch_stored)),
    "1 / sqrt(variance + eps) is stored, not the variance": _var(lambda s: 1 / np.sqrt(s.batch_var + s.eps)),
    "1 / sqrt(variance + eps) is stored, with Bessel's correction": _var(
        lambda s: s.bessel / np.sqrt(s.batch_var + s.eps)
    ),
    "the variance is E[x^2]: the mean is not taken out of it": _var(lambda s: s.batch_var + s.batch_mean**2),
    "mean and variance change places": lambda s: (1 - s.m) * s.old_mean + s.m * s.batch_mean,
}


def _dx(s: Setting, mean_term: float = 1.0, projection: float = 1.0) -> Array:
    return s.dy - mean_term * s.dbias / s.n - projection * s.xhat * s.dweight / s.n


def _backward(s: Setting, mean: Array, invstd: Array) -> Array:
    """dx of training, computed with a wrong mean or a wrong 1 / sqrt(variance + eps)."""
    xhat = (s.x - mean) * invstd
    return s.weight * invstd * (s.dy - s.dbias / s.n - xhat * _sum(s.dy * xhat) / s.n)


def _sum(rows: Array) -> Array:
    return np.asarray(rows.sum(axis=1, keepdims=True))


TRAINING_DX: dict[str, Mistake] = {
    "the statistics are taken for constants: dx lacks both sums": lambda s: s.weight * s.invstd * s.dy,
    "dx lacks the term through the mean": lambda s: s.weight * s.invstd * _dx(s, mean_term=0.0),
    "dx lacks the term through the variance": lambda s: s.weight * s.invstd * _dx(s, projection=0.0),
    "dx lacks the factor weight": lambda s: s.invstd * _dx(s),
    "dx takes weight without its sign": lambda s: np.abs(s.weight) * s.invstd * _dx(s),
    "dx lacks the factor 1 / sqrt(variance + eps)": lambda s: s.weight * _dx(s),
    "dx divides its sums by n - 1": lambda s: s.weight * s.invstd * _dx(s, s.bessel, s.bessel),
    "dx divides the sum of dy * xhat by n - 1": lambda s: s.weight * s.invstd * _dx(s, projection=s.bessel),
    "dx does not divide its sums by n": lambda s: s.weight * s.invstd * _dx(s, s.n, s.n),
    "dx is divided by n": lambda s: s.weight * s.invstd * _dx(s) / s.n,
    "the term through the variance has the wrong sign": lambda s: s.weight * s.invstd * _dx(s, projection=-1.0),
    "the term through the variance is taken twice": lambda s: s.weight * s.invstd * _dx(s, projection=2.0),
    "backward leaves eps out": lambda s: _backward(s, s.mean, 1 / np.sqrt(s.variance)),
    "backward takes the variance for 1 / sqrt(variance + eps)": lambda s: _backward(s, s.mean, s.variance),
    "backward takes 1 / sqrt of what is 1 / sqrt(variance + eps) already": lambda s: _backward(
        s, s.mean, 1 / np.sqrt(s.invstd)
    ),
    "backward takes 1 / sqrt(... + eps) of what is 1 / sqrt(variance + eps) already": lambda s: _backward(
        s, s.mean, 1 / np.sqrt(s.invstd + s.eps)
    ),
    "backward takes 1 / sqrt(variance + eps) for 1": lambda s: _backward(s, s.mean, np.ones_like(s.invstd)),
    "dx is 0": lambda s: np.zeros_like(s.dy),
}


INFERENCE_DX: dict[str, Mistake] = {
    "dx flows through the statistics, which are constants in inference": lambda s: s.weight * s.invstd * _dx(s),
    "dx flows through the batch's mean and variance, as in training": lambda s: _backward(s, s.batch_mean, s.invstd),
    "dx lacks the factor weight": lambda s: s.invstd * s.dy,
    "dx lacks the factor 1 / sqrt(running_var + eps)": lambda s: s.weight * s.dy,
    "dx leaves eps out": lambda s: s.weight * s.dy / np.sqrt(s.variance),
    "dx is 0": lambda s: np.zeros_like(s.dy),
}

DWEIGHT: dict[str, Mistake] = {
    "dweight and dbias change places": lambda s: s.dbias,
    "dweight has the value of dbias": lambda s: s.dbias,
    "dweight sums dy * x: xhat is neither centred nor scaled": lambda s: _sum(s.dy * s.x),
    "dweight sums dy * (x - mean): xhat is not scaled": lambda s: _sum(s.dy * (s.x - s.mean)),
    "backward takes 1 / sqrt(variance + eps) for 1": lambda s: _sum(s.dy * (s.x - s.mean)),
    "backward takes 1 / sqrt of what is 1 / sqrt(variance + eps) already": lambda s: (
        _sum(s.dy * (s.x - s.mean)) / np.sqrt(s.invstd)
    ),
    "backward takes 1 / sqrt(... + eps) of what is 1 / sqrt(variance + eps) already": lambda s: (
        _sum(s.dy * (s.x - s.mean)) / np.sqrt(s.invstd + s.eps)
    ),
    "dweight sums dy * x / sqrt(variance + eps): xhat is not centred": lambda s: _sum(s.dy * s.x * s.invstd),
    "backward leaves eps out": lambda s: _sum(s.dy * (s.x - s.mean)) / np.sqrt(s.variance),
    "backward takes the variance for 1 / sqrt(variance + eps)": lambda s: _sum(s.dy * (s.x - s.mean)) * s.variance,
    "dweight sums dy * y": lambda s: _sum(s.dy * (s.weight * s.xhat + s.bias)),
    "dweight is the mean, not the sum": lambda s: s.dweight / s.n,
    "dweight is divided by the batch size": lambda s: s.dweight / s.samples,
    "dweight is 0": lambda s: np.zeros_like(s.dweight),
    "dweight has the wrong sign": lambda s: -s.dweight,
}
DBIAS: dict[str, Mistake] = {
    "dbias is the mean, not the sum": lambda s: s.dbias / s.n,
    "dbias is divided by the batch size": lambda s: s.dbias / s.samples,
    "dbias is scaled by weight": lambda s: s.weight * s.dbias,
    "dbias is 0": lambda s: np.zeros_like(s.dbias),
    "dweight and dbias change places": lambda s: s.dweight,
    "dbias has the value of dweight": lambda s: s.dweight,
}

ALWAYS = "momentum is always"
EXCHANGES = ("mean and variance change places", "dweight and dbias change places")
"""Mistakes that are named only if both outputs show them."""


def mistakes(quantity: str, claims: Claims, *, training: bool) -> dict[str, Mistake]:
    """The known mistakes of an output in a mode.

    If momentum is fixed, probes cannot tell a wrong constant from a wrong formula.
    """
    known = {
        "y": TRAINING_Y if training else INFERENCE_Y,
        "running_mean": RUNNING_MEAN if training else {},
        "running_var": RUNNING_VAR if training else {},
        "dx": TRAINING_DX if training else INFERENCE_DX,
        "dweight": DWEIGHT,
        "dbias": DBIAS,
    }[quantity]
    fixed = claims.fixed_momentum is not None
    return {sentence: one for sentence, one in known.items() if not (fixed and sentence.startswith(ALWAYS))}
