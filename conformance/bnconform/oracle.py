"""What a Case should give: the reference's values, and for every element the allowed error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bnconform_adapters.contract import Case, Claims
from bnconform_reference.certificate import certify_backward, certify_forward
from bnconform_reference.definition import (
    Gradients,
    Normalized,
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import Array, DoubleDouble, Real, exactly, high
from bnconform_reference.error_bounds import (
    ForwardBounds,
    GradientBounds,
    inference_backward_bounds,
    inference_forward_bounds,
    running_bound,
    stored_variance_bound,
    training_backward_bounds,
    training_forward_bounds,
)
from bnconform_reference.precision import Precision
from bnconform_reference.running_statistics import stored_variance, update
from bnconform_reference.shapes import channel_column, channel_rows, from_channel_rows

TRUST = 1e-3
"""The oracle's own error must stay below this share of the allowed error."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One expected output.

    Attributes
    ----------
    value : float64 array or DoubleDouble, canonical shape
        NaN or infinite where the output must not be finite.
    allowed : float64 array, same shape
        Allowed error; infinite where rounding may do anything, or where the oracle itself is not certain.
    """

    value: Real
    allowed: Array


Expected = Mapping[str, Quantity]
"""Expected outputs under the names of the Outcome's fields."""


def precision_of(case: Case, claims: Claims) -> Precision:
    """The arithmetic that the claims promise for this case's dtype."""
    return Precision.for_dtype(case.dtype, claims.grade)


def expect(case: Case, claims: Claims) -> Expected:
    """Expected outputs of one call on at least one value per channel.

    float64 cases are computed in double-double and certified; for narrower dtypes float64 is exact enough.
    """
    exact = case.dtype == "float64"
    with np.errstate(all="ignore"):  # NaN and infinite inputs are legitimate cases
        return _expect(case, claims, exact)


def _expect(case: Case, claims: Claims, exact: bool) -> Expected:
    precision = precision_of(case, claims)
    x = channel_rows(case.x)
    weight, bias = channel_column(case.weight, case.channels, 1.0), channel_column(case.bias, case.channels, 0.0)
    old_mean = channel_column(case.running_mean, case.channels, claims.dialect.initial_mean)
    old_var = channel_column(case.running_var, case.channels, claims.dialect.initial_variance)
    by_batch = case.training or case.running_mean is None  # without statistics, inference takes the batch's
    if by_batch:
        forward = forward_training(x, weight, bias, case.eps, exact=exact)
        bounds = training_forward_bounds(x, weight, bias, case.eps, forward, precision)
    else:
        forward = forward_inference(x, weight, bias, old_mean, old_var, case.eps, exact=exact)
        bounds = inference_forward_bounds(x, weight, bias, case.eps, forward, precision)
    certificate = None
    y_allowed = bounds.y
    if exact:
        certificate = certify_forward(x, weight, bias, case.eps, forward, training=by_batch)
        y_allowed = _trusted(bounds.y, certificate.y)
    expected = {"y": Quantity(_shaped(forward.y, case), from_channel_rows(y_allowed, case.x.shape))}
    if case.training and case.running_mean is not None:
        assert case.momentum is not None, "the caller resolves a cumulative average to the step's momentum"
        expected |= _statistics(
            case.values_per_channel, case.momentum, old_mean, old_var, forward, bounds, precision, claims, exact
        )
    if case.dy is not None:
        expected |= _gradients(case, x, weight, forward, bounds, certificate, precision)
    return expected


def _statistics(
    n: int,
    momentum: float,
    old_mean: Array,
    old_var: Array,
    forward: Normalized,
    bounds: ForwardBounds,
    precision: Precision,
    claims: Claims,
    exact: bool,
) -> dict[str, Quantity]:
    factor = claims.dialect.bessel_factor(n)
    batch_var = stored_variance(forward.variance, n, claims.dialect)
    var_bound = stored_variance_bound(forward.variance, bounds.variance, factor, precision)
    found = {}
    for name, old, batch, bound in (
        ("running_mean", old_mean, forward.mean, bounds.mean),
        ("running_var", old_var, batch_var, var_bound),
    ):
        new = update(exactly(old) if exact else old, batch, momentum)
        allowed = running_bound(old, high(batch), bound, momentum, precision)
        found[name] = Quantity(_column(new), allowed[:, 0])
    return found


def _gradients(
    case: Case,
    x: Array,
    weight: Array,
    forward: Normalized,
    bounds: ForwardBounds,
    certificate: ForwardBounds | None,
    precision: Precision,
) -> dict[str, Quantity]:
    assert case.dy is not None
    dy, exact = channel_rows(case.dy), certificate is not None
    by_batch = case.training or case.running_mean is None
    if by_batch:
        gradients = backward_training(dy, weight, forward, exact=exact)
        allowed = training_backward_bounds(x, dy, weight, forward, gradients, bounds, precision)
    else:
        gradients = backward_inference(dy, weight, forward, exact=exact)
        allowed = inference_backward_bounds(dy, weight, forward, gradients, bounds, precision)
    if certificate is not None:
        allowed = _trusted_gradients(case, x, dy, weight, forward, gradients, certificate, allowed)
    found = {"dx": Quantity(_shaped(gradients.dx, case), from_channel_rows(allowed.dx, case.x.shape))}
    if case.weight is not None:
        found["dweight"] = Quantity(_column(gradients.dweight), allowed.dweight[:, 0])
    if case.bias is not None:
        found["dbias"] = Quantity(_column(gradients.dbias), allowed.dbias[:, 0])
    return found


def _trusted_gradients(
    case: Case,
    x: Array,
    dy: Array,
    weight: Array,
    forward: Normalized,
    gradients: Gradients,
    certificate: ForwardBounds,
    allowed: GradientBounds,
) -> GradientBounds:
    error = certify_backward(
        x, dy, weight, forward, gradients, certificate, training=case.training or case.running_mean is None
    )
    return GradientBounds(
        _trusted(allowed.dx, error.dx),
        _trusted(allowed.dweight, error.dweight),
        _trusted(allowed.dbias, error.dbias),
    )


def _trusted(allowed: Array, oracle_error: Array) -> Array:
    """`allowed`, infinite (not checkable) where the oracle is not certified to a thousandth of it."""
    return np.where(oracle_error <= TRUST * allowed, allowed, np.inf)


def _shaped(rows: Real, case: Case) -> Real:
    shape: tuple[int, ...] = case.x.shape
    if isinstance(rows, DoubleDouble):
        return DoubleDouble(from_channel_rows(rows.hi, shape), from_channel_rows(rows.lo, shape))
    return from_channel_rows(rows, shape)


def _column(column: Real) -> Real:
    if isinstance(column, DoubleDouble):
        return DoubleDouble(column.hi[:, 0], column.lo[:, 0])
    return column[:, 0]
