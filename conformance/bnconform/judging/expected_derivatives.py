"""Expected second-order gradients and forward-mode tangents: the reference's values and their allowed errors."""

from __future__ import annotations

import numpy as np

from bnconform.judging.oracle import (
    Expected,
    ForwardPass,
    Quantity,
    column,
    forward_pass,
    precision_of,
    shaped,
    trusted,
)
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import AnyArray, Case
from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows
from bnconform_reference.double_double import Array
from bnconform_reference.precision import Precision
from bnconform_reference.second_order import (
    Cotangents,
    SecondOrder,
    double_backward_inference,
    double_backward_training,
)
from bnconform_reference.second_order_bounds import SecondOrderBounds, certify_second_order, second_order_bounds


def expect_second_order(case: Case, claims: Claims) -> Expected:
    """Return the expected `ddy`, `dx` and, if there is a weight, `dweight` of a double backward pass."""
    values, allowed = _double_backward(case, claims)
    shape = case.x.shape
    expected = {
        "ddy": Quantity(shaped(values.ddy, case), from_channel_rows(allowed.ddy, shape)),
        "dx": Quantity(shaped(values.dx, case), from_channel_rows(allowed.dx, shape)),
    }
    if case.weight is not None:
        expected["dweight"] = Quantity(column(values.dweight), allowed.dweight[:, 0])
    return expected


def expect_tangent(case: Case, claims: Claims) -> Quantity:
    """Return the expected tangent of y for the tangents ddx, ddweight and ddbias.

    The tangent is the gradient by dy, which does not depend on dy.
    """
    values, allowed = _double_backward(case, claims)
    return Quantity(shaped(values.ddy, case), from_channel_rows(allowed.ddy, case.x.shape))


def cotangents_of(case: Case) -> Cotangents:
    """Return the case's ddx as rows, ddweight and ddbias as columns."""

    def rows(array: AnyArray | None) -> Array | None:
        return None if array is None else channel_rows(array)

    per_channel = (channel_column(vector, case.channels, 0.0) for vector in (case.ddweight, case.ddbias))
    return Cotangents.of((case.channels, case.values_per_channel), rows(case.ddx), *per_channel)


def _double_backward(case: Case, claims: Claims) -> tuple[SecondOrder, SecondOrderBounds]:
    with np.errstate(all="ignore"):  # as in the oracle: overflow is excused, without a warning
        found = forward_pass(case, claims.dialect)
        dy = np.zeros_like(found.x) if case.dy is None else channel_rows(case.dy)
        return _judged(found, dy, cotangents_of(case), precision_of(case, claims))


def _judged(
    found: ForwardPass, dy: Array, cotangents: Cotangents, precision: Precision
) -> tuple[SecondOrder, SecondOrderBounds]:
    x, weight, forward, training = found.x, found.weight, found.values, found.by_batch
    double_backward = double_backward_training if training else double_backward_inference
    values = double_backward(cotangents, dy, weight, forward, exact=found.exact)
    allowed = second_order_bounds(
        x, dy, weight, cotangents, forward, values, found.bounds(precision), precision, training=training
    )
    if found.certificate is None:
        return values, allowed
    error = certify_second_order(x, dy, weight, cotangents, forward, found.certificate, training=training)
    return values, SecondOrderBounds(
        trusted(allowed.ddy, error.ddy), trusted(allowed.dx, error.dx), trusted(allowed.dweight, error.dweight)
    )
