"""Allowed errors of second-order gradients and of forward mode, and the oracle's own error.

The formulas of :mod:`bnconform_reference.second_order` are multiplied out into sums of products and evaluated by
:mod:`bnconform_reference.running_error`, from the errors of the statistics that
:mod:`bnconform_reference.error_bounds` derives. Every channel mean has the size of its summands, mean |ddx xhat|
for mean(ddx xhat). So the bound holds whether an implementation first sums and then multiplies, or the other way round;
automatic differentiation may do either.

The bounds use, besides the data:

- invstd with its allowed error, once for each factor.
- xhat with three errors. The first is ``r Bm`` for the mean, twice: xhat itself is shifted, and automatic
  differentiation follows the path through the mean inside the variance, whose slope -2 mean(x - mean) is 0 up to that
  shift. The second is the relative error of invstd and three roundings. The third is ``2 u r (|x| + |mean|)``: x and
  mean may be multiplied before they are subtracted, as in the first-order bounds.
- For grades other than T, means of products with xhat may be computed as invstd (mean(u x) - mean(u) mean):
  ``2 gamma(K + 4) r |mean| mean |u|``, as in the first-order bounds.
- For grade N, a variance that may be clipped to 0 has no slope: all gradients through it may be missing.
- For grade N, automatic differentiation uses separate paths through E[x^2] and E[x]^2, with uncentred sums that cancel
  in the end. If the product of these sums with powers of invstd overflows, the channel's bound is infinite.
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
    """Allowed errors: `ddy` (and the tangent of y) and `dx` as rows (C, n), `dweight` as a column (C, 1)."""

    ddy: Array
    dx: Array
    dweight: Array


@dataclass(frozen=True)
class _Statistics:
    """The errors of the statistics of one arithmetic.

    Attributes
    ----------
    invstd : Inexact
        Columns (C, 1).
    xhat : Inexact
        Rows (C, n).
    uncentred : array, shape (C, 1)
        Error of mean(u xhat) relative to mean |u|, if computed from uncentred x.
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
    """Return the allowed errors of a double backward pass.

    Parameters
    ----------
    x, dy : float64 arrays, shape (C, n)
    weight : float64 array, shape (C, 1)
    cotangents : Cotangents
    forward, results
        The oracle's values for these arguments.
    bounds : ForwardBounds
        Allowed errors of the forward pass in the same mode.
    training : bool
        Whether mean and invstd depend on x.
    """
    height = precision.sum_height(x.shape[-1])
    # K additions for each summand, and the division as in the first-order bounds.
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
    """Set errors to infinity in channels in which an uncentred intermediate value may overflow.

    The derivatives of ``(v + eps)^(-1/2)`` are -1/2 invstd^3 and 3/4 invstd^5. They are multiplied by sum(dy x),
    sum(ddx x) and 2 x, where each x may include the mean. Sums may be computed before the division by n.
    """
    r, size = high(forward.invstd) + bounds.invstd, np.abs(x) + np.abs(high(forward.mean))
    by_dy, by_ddx = (np.sum(np.abs(u) * size, axis=-1, keepdims=True) for u in (dy, cotangents.ddx))
    most = np.max(size, axis=-1, keepdims=True)
    factor = np.maximum(np.abs(weight), 1.0)
    largest = LARGEST[precision.accumulation]

    def finite_below(bound: Array, reached: Array) -> Array:
        return np.where(reached < largest, bound, np.inf)

    return SecondOrderBounds(
        finite_below(error.ddy, factor * r**3 * most * by_ddx),
        finite_below(error.dx, 3 * factor * r**5 * most * by_dy * by_ddx),
        finite_below(error.dweight, r**3 * by_dy * by_ddx),
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
    """Bound ``|oracle - exact|`` of an exact double backward pass, from the forward pass's certificate."""
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
    """Evaluate the formulas of second order, multiplied out; return the errors before results are stored."""
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
    # Parts through the variance's dependence on x are kept apart, since clipping may remove them.
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
