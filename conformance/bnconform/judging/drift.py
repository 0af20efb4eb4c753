"""Expected running statistics over many steps; the oracle does not round between steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bnconform.judging.oracle import Quantity, column, forward_pass, precision_of
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case, parameter_dtype
from bnconform_reference.debiasing import debiased_momentum, debiased_running_bound
from bnconform_reference.double_double import Array, Real, exactly, high
from bnconform_reference.error_bounds import running_bound, stored_variance_bound
from bnconform_reference.precision import UNIT_ROUNDOFF
from bnconform_reference.running_statistics import stored_variance, update


def trajectory(steps: Sequence[Case], claims: Claims) -> Iterator[dict[str, Quantity]]:
    """Yield the expected running statistics of a new layer after each training step.

    Let a_k be the oracle's statistic, A_k its allowed error and w the weight of the batch. The step starts from a
    statistic that is off by at most A_{k-1}. A_k is then ``(1 - w) A_{k-1}`` plus the allowed error of one step. That
    error is linear in the magnitude of the old statistic, with 4 roundings of it, one of its difference to the batch
    and one of the result (:func:`~bnconform_reference.error_bounds.running_bound`): 6 u A_{k-1} more.

    Parameters
    ----------
    steps : sequence of Case
        Training on at least two values per channel, with momentum and statistics; the first step's are the start.
    claims : Claims
        Claims with the dialect and the grade.
    """
    first = steps[0]
    assert first.running_mean is not None
    assert first.running_var is not None
    state: dict[str, Real] = {name: getattr(first, name).astype(np.float64)[:, None] for name in _STATISTICS}
    allowed: dict[str, Array] = {name: np.zeros_like(high(value)) for name, value in state.items()}
    for seen, case in enumerate(steps, 1):
        assert case.momentum is not None
        found, precision = forward_pass(case, claims.dialect), precision_of(case, claims)
        bounds, debiased = found.bounds(precision), claims.dialect.debiased
        weight = debiased_momentum(case.momentum, seen) if debiased else case.momentum
        n = case.values_per_channel
        u = max(precision.u, UNIT_ROUNDOFF[parameter_dtype(case.dtype)])
        factor = claims.dialect.bessel_factor(n)
        batches = {
            "running_mean": (found.values.mean, bounds.mean),
            "running_var": (
                stored_variance(found.values.variance, n, claims.dialect),
                stored_variance_bound(found.values.variance, bounds.variance, factor, precision),
            ),
        }
        for name, (batch, bound) in batches.items():
            old = high(state[name])
            step = (
                debiased_running_bound(old, high(batch), bound, case.momentum, seen, precision)
                if debiased
                else running_bound(old, high(batch), bound, case.momentum, precision)
            )
            allowed[name] = (1 - weight) * allowed[name] + step + 6 * u * allowed[name]
            state[name] = update(exactly(state[name]) if found.exact else state[name], batch, weight)
        yield {name: Quantity(column(state[name]), allowed[name][:, 0].copy()) for name in _STATISTICS}


_STATISTICS = ("running_mean", "running_var")
