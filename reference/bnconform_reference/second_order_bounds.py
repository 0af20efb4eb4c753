"""Allowed errors of second-order gradients and of forward mode, and the oracle's own error, by one propagation.

The formulas of :mod:`bnconform_reference.second_order` are multiplied out into sums of products and evaluated by
:mod:`bnconform_reference.running_error`, from the errors of the statistics that
:mod:`bnconform_reference.error_bounds` derives. Every channel mean has the size of its summands, mean |ddx xhat|
for mean(ddx xhat), so that it does not matter whether an implementation sums first and multiplies then, or the other
way round; automatic differentiation does as it likes.

What goes in beside the data:

- invstd with its allowed error, once a factor.
- xhat with ``r Bm`` for the mean, twice: xhat itself is shifted, and automatic differentiation follows the path
  through the mean inside the variance, whose slope -2 mean(x - mean) vanishes up to that shift; with the relative error
  of invstd and three roundings; and with ``2 u r (|x| + |mean|)``, for x and mean may be multiplied by the rest
  before they are subtracted, as in the first-order bounds.
- For grades other than T, means of products with xhat may be formed as invstd (mean(u x) - mean(u) mean):
  ``2 gamma(K + 4) r |mean| mean |u|``, as in the first-order bounds.
- For grade N, a variance that may be clipped to 0 has no slope: all that flows through it may be missing.
- For grade N, automatic differentiation goes through E[x^2] and E[x]^2 apart, by uncentred sums that cancel in the end.
  Where their product with the powers of invstd passes the largest number on the way, nothing is said of the channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.certificate import OPERATION, UNDERFLOW, sum_error
from bnconform_reference.definition import Normalized
from bnconform_reference.double_double import Array, high
from bnconform_reference.error_bounds import ForwardBounds, rounded, unbounded_if_nan
from bnconform_reference.precision import LARGEST, Precision
from bnconform_reference.running_error import Inexact, Rounding, known
from bnconform_reference.second_order import Cotangents, SecondOrder

_unbounded = np.errstate(divide="ignore", invalid="ignore", over="ignore")


@dataclass(frozen=True)
class SecondOrderBounds:
    """Allowed errors: of `ddy` (and of the tangent of y) and `dx` as rows (C, n), of `dweight` as a column (C, 1)."""

    ddy: Array
    dx: Array
    dweight: Array


@dataclass(frozen=True)
class _Statistics:
    """What the statistics of one arithmetic are off by.

    Attributes
    ----------
    invstd : Inexact
        Columns (C, 1).
    xhat : Inexact
        Rows (C, n).
    uncentred : array, shape (C, 1)
        Error of mean(u xhat) against mean |u| where it is formed from uncentred x.
    clipped : array of bool, shape (C, 1)
        Channels in which the path through the variance may be missing.
    """

    invstd: Inexact
    xhat: Inexact
    uncentred: Array
    clipped: NDArray[np.bool_]


@_unbounded
def second_order_bounds(
    x: Array,
    dy: Array,
    weight: Array,
    cotangents: Cotangents,
    forward: Normalized,
    results: SecondOrder,
    bounds: ForwardBounds,
    precision: Precision,
    *,
    training: bool,
) -> SecondOrderBounds:
    """Allowed errors of a double backward pass.

    Parameters
    ----------
    x, dy : float64 arrays, shape (C, n)
    weight : float64 array, shape (C, 1)
    cotangents : Cotangents
    forward, results
        The oracle's values for these arguments.
    bounds : ForwardBounds
        What the forward pass of the same mode is allowed.
    training : bool
        Whether mean and invstd depend on x.
    """
    height = precision.sum_height(x.shape[-1])
    # K additions a summand, and the division as in the first-order bounds.
    rounding = Rounding(precision.u, precision.gamma(height + 4), precision.tau)
    error = _propagate(dy, weight, cotangents, _statistics(x, forward, bounds, precision), rounding, training=training)
    if training and precision.naive:
        error = _overflowing(error, x, dy, weight, cotangents, forward, bounds, precision)
    return SecondOrderBounds(
        rounded(error.ddy, high(results.ddy), precision.output),
        rounded(error.dx, high(results.dx), precision.output),
        rounded(error.dweight, high(results.dweight), precision.parameters),
    )


def _overflowing(
    error: SecondOrderBounds,
    x: Array,
    dy: Array,
    weight: Array,
    cotangents: Cotangents,
    forward: Normalized,
    bounds: ForwardBounds,
    precision: Precision,
) -> SecondOrderBounds:
    """The errors, infinite in channels in which what is uncentred may overflow on the way.

    The derivatives of ``(v + eps)^(-1/2)`` are -1/2 and 3/4 times invstd^3 and invstd^5; they meet sum(dy x),
    sum(ddx x) and 2 x, of which each x may have the mean in it. Sums may run before anything is divided by n.
    """
    r, size = high(forward.invstd) + bounds.invstd, np.abs(x) + np.abs(high(forward.mean))
    by_dy, by_ddx = (np.sum(np.abs(u) * size, axis=-1, keepdims=True) for u in (dy, cotangents.ddx))
    most = np.max(size, axis=-1, keepdims=True)
    factor = np.maximum(np.abs(weight), 1.0)
    largest = LARGEST[precision.accumulation]

    def excused(bound: Array, reached: Array) -> Array:
        return np.where(reached < largest, bound, np.inf)

    return SecondOrderBounds(
        excused(error.ddy, factor * r**3 * most * by_ddx),
        excused(error.dx, 3 * factor * r**5 * most * by_dy * by_ddx),
        excused(error.dweight, r**3 * by_dy * by_ddx),
    )


@_unbounded
def certify_second_order(
    x: Array,
    dy: Array,
    weight: Array,
    cotangents: Cotangents,
    forward: Normalized,
    certificate: ForwardBounds,
    *,
    training: bool,
) -> SecondOrderBounds:
    """Bound on ``|oracle - exact|`` of an exact double backward pass, from the forward pass's certificate."""
    r = high(forward.invstd)
    deviation = np.abs(x - high(forward.mean))
    xhat = (r + certificate.invstd) * certificate.mean + deviation * (certificate.invstd + OPERATION * r) + UNDERFLOW
    statistics = _Statistics(
        Inexact(r, certificate.invstd),
        Inexact(np.abs(high(forward.xhat)), xhat),
        uncentred=np.zeros_like(r),
        clipped=np.zeros_like(r, bool),
    )
    rounding = Rounding(OPERATION, sum_error(x.shape[-1]) + OPERATION, UNDERFLOW)
    error = _propagate(dy, weight, cotangents, statistics, rounding, training=training)
    return SecondOrderBounds(*(unbounded_if_nan(part) for part in (error.ddy, error.dx, error.dweight)))


def _statistics(x: Array, forward: Normalized, bounds: ForwardBounds, precision: Precision) -> _Statistics:
    u, gamma, height = precision.u, precision.gamma, precision.sum_height(x.shape[-1])
    mu, r, xhat = high(forward.mean), high(forward.invstd), np.abs(high(forward.xhat))
    r_max = r + bounds.invstd
    shift = 2 * r_max * bounds.mean
    xhat_error = shift + (bounds.invstd / r + 3 * u) * xhat + 2 * u * r_max * (np.abs(x) + np.abs(mu))
    direct, naive = precision.grade[1] == "T", precision.naive
    return _Statistics(
        Inexact(r, bounds.invstd),
        Inexact(xhat, xhat_error + precision.tau * (2 + 2 * r_max)),
        uncentred=np.zeros_like(r) if direct else 2 * gamma(height + 4) * r_max * np.abs(mu),
        clipped=(bounds.variance >= high(forward.variance)) & naive,
    )


def _propagate(
    dy: Array,
    weight: Array,
    cotangents: Cotangents,
    statistics: _Statistics,
    rounding: Rounding,
    *,
    training: bool,
) -> SecondOrderBounds:
    """Errors before results are stored: the formulas of the definition, multiplied out."""
    times, plus, mean = rounding.product, rounding.sum, rounding.mean
    r, xhat, g, count = statistics.invstd, statistics.xhat, known(weight), known(float(dy.shape[-1]))
    v, d = known(cotangents.ddx), known(dy)
    vw, vb = known(cotangents.ddweight), known(cotangents.ddbias)
    v_mean, d_mean, vd_mean = mean(v), mean(d), mean(times(v, d))
    by_parameters = (times(vw, xhat), vb)
    if not training:
        return SecondOrderBounds(
            ddy=plus(times(g, r, v), *by_parameters).error,
            dx=times(vw, r, d).error,
            dweight=times(count, r, vd_mean).error,
        )

    def along_xhat(u: Inexact) -> Inexact:
        centred = mean(times(u, xhat))
        return Inexact(centred.size, centred.error + statistics.uncentred * np.mean(u.size, axis=-1, keepdims=True))

    a, b, three = along_xhat(v), along_xhat(d), known(3.0)
    # What the variance's dependence on x contributes, and what comes beside it.
    ddy_by_variance = times(g, r, xhat, a)
    dweight_by_variance = times(count, r, a, b)
    dx_by_variance = plus(
        times(g, r, r, b, v),
        times(g, r, r, b, v_mean),
        times(g, r, r, a, d),
        times(g, r, r, a, d_mean),
        times(g, r, r, xhat, vd_mean),
        times(g, r, r, xhat, v_mean, d_mean),
        times(g, r, r, xhat, three, a, b),
        times(vw, r, xhat, b),
    )
    ddy = plus(times(g, r, v), times(g, r, v_mean), ddy_by_variance, *by_parameters)
    dweight = plus(times(count, r, vd_mean), times(count, r, v_mean, d_mean), dweight_by_variance)
    dx = plus(dx_by_variance, times(vw, r, d), times(vw, r, d_mean))

    def error(result: Inexact, by_variance: Inexact) -> Array:
        return result.error + np.where(statistics.clipped, by_variance.size, 0.0)

    return SecondOrderBounds(
        error(ddy, ddy_by_variance), error(dx, dx_by_variance), error(dweight, dweight_by_variance)
    )
