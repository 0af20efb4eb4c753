"""The oracle: the expected outputs of a Case, with the allowed error of every element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import AnyArray, Case
from bnconform_reference.certificate import certify_backward, certify_forward
from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows
from bnconform_reference.debiasing import debiased_momentum, debiased_running_bound
from bnconform_reference.definition import (
    Gradients,
    Normalized,
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.dialect import Dialect
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
from bnconform_reference.precision import Grade, Precision
from bnconform_reference.running_statistics import stored_variance, update

TRUST = 1e-3
"""The oracle's own error must stay below this share of the allowed error."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One expected output.

    Attributes
    ----------
    value : float64 array or DoubleDouble, canonical shape
        Expected value; NaN or infinite where the output must not be finite.
    allowed : float64 array, same shape
        Allowed error; infinite where rounding may give any result, or where the oracle itself is not certain.
    """

    value: Real
    allowed: Array


Expected = Mapping[str, Quantity]
"""Expected outputs under the names of the Outcome's fields."""


def precision_of(case: Case, claims: Claims) -> Precision:
    """Return the arithmetic that the claims promise for this case's dtype."""
    return Precision.for_dtype(case.dtype, claims.grade)


def expect(case: Case, claims: Claims, batches: int | None = None, shards: Sequence[int] = ()) -> Expected:
    """Return the expected outputs of one call on at least one value per channel.

    float64 cases are computed in double-double and certified; for narrower dtypes float64 is exact enough.

    Parameters
    ----------
    batches : int or None
        Number of batches that a new layer has seen, including this one, if its statistics are debiased. None for a
        layer that was trained for long, or without debiasing.
    shards : sequence of int
        Values per channel of each shard, in order, if the case is a batch on several devices.
    """
    return expect_at((claims.grade,), case, claims, batches, shards)[claims.grade]


def expect_at(
    grades: Iterable[Grade], case: Case, claims: Claims, batches: int | None = None, shards: Sequence[int] = ()
) -> dict[Grade, Expected]:
    """Return the result of :func:`expect` for each grade: the values are the same, the allowed errors differ."""
    with np.errstate(all="ignore"):  # NaN and infinite inputs are legitimate cases
        if case.training and case.values_per_channel == 1 and claims.dialect.one_value == "identity":
            return dict.fromkeys(grades, _handed_on(case))
        forward = forward_pass(case, claims.dialect)
        backward = None if case.dy is None else _backward_pass(case.dy, forward)
        found: dict[Grade, Expected] = {}
        for grade in grades:
            precision = Precision.for_dtype(case.dtype, grade)
            bounds = forward.bounds(precision, shards)
            expected = _outputs(case, forward, bounds)
            if case.training and case.running_mean is not None:
                expected |= _statistics(case, claims.dialect, batches, forward, bounds, precision)
            if backward is not None:
                gradients = _gradients(case, backward, bounds, precision)
                expected |= {name: gradients[name] for name in case.wanted.split() if name in gradients}
            found[grade] = expected
        return found


@dataclass(frozen=True)
class ForwardPass:
    """The oracle's forward pass of a case: arguments as rows and columns, and values, which hold for every grade.

    Attributes
    ----------
    by_batch : bool
        Whether the batch's own statistics normalize.
    certificate : ForwardBounds or None
        Error of the oracle itself if it runs in double-double; None if float64 is exact enough.
    """

    x: Array
    weight: Array
    bias: Array
    eps: float
    old_mean: Array
    old_var: Array
    by_batch: bool
    values: Normalized
    certificate: ForwardBounds | None

    @property
    def exact(self) -> bool:
        """True if the oracle runs in double-double."""
        return self.certificate is not None

    def bounds(self, precision: Precision, shards: Sequence[int] = ()) -> ForwardBounds:
        """Return the allowed errors of an implementation of this precision; for `shards`, see :func:`expect`."""
        if self.by_batch:
            return training_forward_bounds(
                self.x, self.weight, self.bias, self.eps, self.values, precision, shards=shards
            )
        return inference_forward_bounds(self.x, self.weight, self.bias, self.eps, self.values, precision)


def forward_pass(case: Case, dialect: Dialect) -> ForwardPass:
    """Run the oracle's forward pass of a case on at least one value per channel."""
    exact = case.dtype == "float64"
    x = channel_rows(case.x)
    weight, bias = channel_column(case.weight, case.channels, 1.0), channel_column(case.bias, case.channels, 0.0)
    old_mean = channel_column(case.running_mean, case.channels, dialect.initial_mean)
    old_var = channel_column(case.running_var, case.channels, dialect.initial_variance)
    by_batch = case.training or case.running_mean is None  # without statistics, inference uses the batch's
    if by_batch:
        values = forward_training(x, weight, bias, case.eps, exact=exact)
    else:
        values = forward_inference(x, weight, bias, old_mean, old_var, case.eps, exact=exact)
    certificate = certify_forward(x, weight, bias, case.eps, values, training=by_batch) if exact else None
    return ForwardPass(x, weight, bias, case.eps, old_mean, old_var, by_batch, values, certificate)


@dataclass(frozen=True)
class BackwardPass:
    """The oracle's backward pass: dy as rows, values, and the oracle's own error as `certificate`."""

    forward: ForwardPass
    dy: Array
    values: Gradients
    certificate: GradientBounds | None

    def bounds(self, forward_bounds: ForwardBounds, precision: Precision) -> GradientBounds:
        """Return the allowed errors of an implementation of this precision, which starts from rounded statistics."""
        x, weight, forward = self.forward.x, self.forward.weight, self.forward.values
        if self.forward.by_batch:
            return training_backward_bounds(x, self.dy, weight, forward, self.values, forward_bounds, precision)
        return inference_backward_bounds(self.dy, weight, forward, self.values, forward_bounds, precision)


def _backward_pass(dy: AnyArray, found: ForwardPass) -> BackwardPass:
    rows, weight, forward = channel_rows(dy), found.weight, found.values
    backward = backward_training if found.by_batch else backward_inference
    values, certificate = backward(rows, weight, forward, exact=found.exact), None
    if found.certificate is not None:
        certificate = certify_backward(
            found.x, rows, weight, forward, values, found.certificate, training=found.by_batch
        )
    return BackwardPass(found, rows, values, certificate)


def _outputs(case: Case, found: ForwardPass, bounds: ForwardBounds) -> dict[str, Quantity]:
    allowed = bounds.y if found.certificate is None else trusted(bounds.y, found.certificate.y)
    return {"y": Quantity(shaped(found.values.y, case), from_channel_rows(allowed, case.x.shape))}


def _handed_on(case: Case) -> Expected:
    """Return the exact outputs of a layer that does not normalize: y = x and dx = dy."""
    values = {"y": case.x, "running_mean": case.running_mean, "running_var": case.running_var}
    if case.dy is not None:
        values |= {"dx": case.dy, "dweight": _zeros(case.weight), "dbias": _zeros(case.bias)}
    wide = {name: array.astype(np.float64) for name, array in values.items() if array is not None}
    return {name: Quantity(array, np.zeros(array.shape)) for name, array in wide.items()}


def _zeros(parameter: AnyArray | None) -> AnyArray | None:
    return None if parameter is None else np.zeros_like(parameter)


def _statistics(
    case: Case,
    dialect: Dialect,
    batches: int | None,
    found: ForwardPass,
    bounds: ForwardBounds,
    precision: Precision,
) -> dict[str, Quantity]:
    n, momentum = case.values_per_channel, case.momentum
    assert momentum is not None, "the caller resolves a cumulative average to the step's momentum"
    factor = dialect.bessel_factor(n)
    batch_var = stored_variance(found.values.variance, n, dialect)
    var_bound = stored_variance_bound(found.values.variance, bounds.variance, factor, precision)
    moved = {}
    for name, old, batch, bound in (
        ("running_mean", found.old_mean, found.values.mean, bounds.mean),
        ("running_var", found.old_var, batch_var, var_bound),
    ):
        weight = momentum if batches is None else debiased_momentum(momentum, batches)
        new = update(exactly(old) if found.exact else old, batch, weight)
        if batches is None:
            allowed = running_bound(old, high(batch), bound, momentum, precision)
        else:
            allowed = debiased_running_bound(old, high(batch), bound, momentum, batches, precision)
        moved[name] = Quantity(column(new), allowed[:, 0])
    return moved


def _gradients(case: Case, found: BackwardPass, bounds: ForwardBounds, precision: Precision) -> dict[str, Quantity]:
    gradients, allowed = found.values, found.bounds(bounds, precision)
    if found.certificate is not None:
        error = found.certificate
        allowed = GradientBounds(
            trusted(allowed.dx, error.dx),
            trusted(allowed.dweight, error.dweight),
            trusted(allowed.dbias, error.dbias),
        )
    expected = {"dx": Quantity(shaped(gradients.dx, case), from_channel_rows(allowed.dx, case.x.shape))}
    if case.weight is not None:
        expected["dweight"] = Quantity(column(gradients.dweight), allowed.dweight[:, 0])
    if case.bias is not None:
        expected["dbias"] = Quantity(column(gradients.dbias), allowed.dbias[:, 0])
    return expected


def trusted(allowed: Array, oracle_error: Array) -> Array:
    """Return `allowed`, but infinite (not checkable) where the oracle's error is above a thousandth of it."""
    return np.where(oracle_error <= TRUST * allowed, allowed, np.inf)


def shaped(rows: Real, case: Case) -> Real:
    """Return rows (C, n) in the shape of the case's x."""
    shape: tuple[int, ...] = case.x.shape
    if isinstance(rows, DoubleDouble):
        return DoubleDouble(from_channel_rows(rows.hi, shape), from_channel_rows(rows.lo, shape))
    return from_channel_rows(rows, shape)


def column(values: Real) -> Real:
    """Return a column (C, 1) as a vector (C,)."""
    if isinstance(values, DoubleDouble):
        return DoubleDouble(values.hi[:, 0], values.lo[:, 0])
    return values[:, 0]
