"""Second-order gradients and forward mode of batch normalization.

The backward pass (dx, dweight, dbias) is itself a function of dy, x and weight. Given cotangents ddx, ddweight and
ddbias of its results, double backward computes the gradients of

    L = sum ddx dx + ddweight dweight + ddbias dbias

with respect to dy, x and weight. With means over a channel's n values, written

    a = mean(ddx xhat)    b = mean(dy xhat)    c = mean(ddx dy) - mean(ddx) mean(dy),

and P u = u - mean(u) - xhat mean(u xhat), which is symmetric, training has dx = weight invstd P dy, so

    L / n = weight invstd (c - a b) + ddweight b + ddbias mean(dy).

dy enters linearly:             ddy     = weight invstd P ddx + ddweight xhat + ddbias.
weight enters through dx only:  dweight = n invstd (c - a b).
x enters through xhat, where dL/dxhat = q = ddweight dy - weight invstd (b ddx + a dy), and through the invstd in
front. The first path gives invstd P q, as for any gradient of xhat, with mean(q xhat) = ddweight b - 2 weight
invstd a b. Since d invstd / dx = -invstd^2 xhat / n, the second path adds -weight invstd^2 xhat (c - a b). Together

    dx = -weight invstd^2 (b (ddx - mean(ddx)) + a (dy - mean(dy)) + xhat (c - 3 a b))
         + ddweight invstd (dy - mean(dy) - xhat b).

In inference mean and invstd are constants: ddy = weight invstd ddx + ddweight xhat + ddbias,
dweight = invstd sum(ddx dy), dx = ddweight invstd dy.

Forward mode: the backward pass is the transpose J' of the Jacobian J of (x, weight, bias) -> y, and ddy is the
transpose of J': ddy = J (ddx, ddweight, ddbias). The tangent of y is the same formula, with tangents of x, weight
and bias in place of the cotangents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnconform_reference.definition import Normalized
from bnconform_reference.double_double import Array, Real, exactly, total

# As in the definition: infinities and NaN stay, without a warning.
_ieee = np.errstate(divide="ignore", invalid="ignore", over="ignore")


@dataclass(frozen=True)
class Cotangents:
    """Cotangents of dx, dweight and dbias, or tangents of x, weight and bias: the spaces are the same.

    Attributes
    ----------
    ddx : float64 array, shape (C, n)
    ddweight, ddbias : float64 arrays, shape (C, 1)
    """

    ddx: Array
    ddweight: Array
    ddbias: Array

    @classmethod
    def of(cls, shape: tuple[int, int], ddx: Array | None, ddweight: Array | None, ddbias: Array | None) -> Cotangents:
        """Return cotangents for rows of `shape` (C, n); None stands for zeros."""
        column = (shape[0], 1)
        return cls(
            np.zeros(shape) if ddx is None else ddx,
            np.zeros(column) if ddweight is None else ddweight,
            np.zeros(column) if ddbias is None else ddbias,
        )


@dataclass(frozen=True)
class SecondOrder:
    """Results of a double backward pass: gradients by dy and x as rows (C, n), by weight as a column (C, 1)."""

    ddy: Real
    dx: Real
    dweight: Real


@_ieee
def double_backward_training(
    cotangents: Cotangents, dy: Array, weight: Array, forward: Normalized, *, exact: bool = False
) -> SecondOrder:
    """Compute gradients of the training backward pass, contracted with `cotangents`.

    Parameters
    ----------
    cotangents : Cotangents
    dy : float64 array, shape (C, n), n >= 1
    weight : float64 array, shape (C, 1)
    forward : Normalized
        Result of :func:`~bnconform_reference.definition.forward_training` at the same precision.
    exact : bool
        Compute in double-double instead of float64.
    """
    n, r, xhat = dy.shape[-1], forward.invstd, forward.xhat
    ddx, ddweight = cotangents.ddx, cotangents.ddweight
    centred_ddx, centred_dy = _centred(ddx, exact=exact), _centred(dy, exact=exact)
    a, b = total(ddx * xhat, exact=exact) / n, total(dy * xhat, exact=exact) / n
    c = total(centred_ddx * dy, exact=exact) / n
    through_statistics = b * centred_ddx + a * centred_dy + xhat * (c - 3.0 * (a * b))
    by_weight = centred_dy - xhat * b
    return SecondOrder(
        ddy=jvp_training(cotangents, weight, forward, exact=exact),
        dx=ddweight * (r * by_weight) - weight * (r * (r * through_statistics)),
        dweight=r * (c - a * b) * float(n),
    )


@_ieee
def double_backward_inference(
    cotangents: Cotangents, dy: Array, weight: Array, forward: Normalized, *, exact: bool = False
) -> SecondOrder:
    """Compute gradients of the inference backward pass; arguments as in :func:`double_backward_training`."""
    product = exactly(cotangents.ddx) * dy if exact else cotangents.ddx * dy
    return SecondOrder(
        ddy=jvp_inference(cotangents, weight, forward),
        dx=cotangents.ddweight * (forward.invstd * dy),
        dweight=forward.invstd * total(product, exact=exact),
    )


@_ieee
def jvp_training(tangents: Cotangents, weight: Array, forward: Normalized, *, exact: bool = False) -> Real:
    """Compute the tangent of y in training, rows (C, n): J (ddx, ddweight, ddbias)."""
    n = tangents.ddx.shape[-1]
    along = total(tangents.ddx * forward.xhat, exact=exact) / n
    projected = _centred(tangents.ddx, exact=exact) - forward.xhat * along
    return _tangent(projected, tangents, weight, forward)


@_ieee
def jvp_inference(tangents: Cotangents, weight: Array, forward: Normalized) -> Real:
    """Compute the tangent of y in inference, rows (C, n)."""
    return _tangent(tangents.ddx, tangents, weight, forward)


def _tangent(of_centred_x: Real, tangents: Cotangents, weight: Array, forward: Normalized) -> Real:
    scaled: Real = weight * forward.invstd * of_centred_x
    by_weight: Real = tangents.ddweight * forward.xhat
    tangent: Real = scaled + by_weight + tangents.ddbias
    return tangent


def _centred(rows: Array, *, exact: bool) -> Real:
    centred: Real = rows - total(rows, exact=exact) / rows.shape[-1]
    return centred
