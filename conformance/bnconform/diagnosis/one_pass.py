"""The variance as E[x^2] - E[x]^2, where a better grade is claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.cases.shapes import with_values
from bnconform.diagnosis.bounded_calls import Prober, Stopped
from bnconform.diagnosis.trial_cases import usual
from bnconform.judging.comparison import compare
from bnconform.judging.oracle import expect
from bnconform_adapters.contract import Case
from bnconform_reference.double_double import high
from bnconform_reference.precision import UNIT_ROUNDOFF

CONDITIONS = (1e3, 1e4)
"""|mean| / sd at which the variance is measured."""
VALUES = 64
SPREAD = 256
"""Factor by which the measured error may differ from u (mean / sd)^2, the size of the rounding of E[x^2]."""


def one_pass(prober: Prober) -> str | None:
    """A sentence, if the stored variance has the cancellation of E[x^2] - E[x]^2 and the stored mean is right.

    The error then grows with the square of |mean| / sd, from u times that square.
    """
    claims, terms = prober.claims, usual(prober.claims)
    if "training" not in claims.modes or terms.dtype not in ("float32", "float64") or claims.grade[1] in "NU":
        return None
    momentum = claims.usable_momenta((1.0,))[0]
    recipe = Recipe(
        with_values(claims.ranks[0], VALUES, 4),
        terms.dtype,
        terms.parameters,
        momentum=momentum,
        eps=claims.usable_eps((max(1e-5, claims.eps_min),))[0],
        precise=True,
    )
    try:
        if _error(prober, build(recipe)) != 0.0:
            return None
        errors = {condition: _error(prober, build(replace(recipe, ratio=condition))) for condition in CONDITIONS}
    except Stopped:
        return None
    for condition, error in errors.items():
        size = UNIT_ROUNDOFF[terms.dtype] * condition**2
        if error is None or not size / SPREAD < error < size * SPREAD:
            return None
    return (
        "the variance cancels where |mean| is large, as E[x^2] - E[x]^2 does: "
        f"its error is {errors[CONDITIONS[-1]]:.2g} times the variance at |mean|/sd = {CONDITIONS[-1]:g}"
    )


def _error(prober: Prober, case: Case) -> float | None:
    """The relative error of the batch's variance; 0 if it is allowed, None if other things are wrong."""
    claims, probe = prober.claims, prober.probe(case)
    if probe is None or not probe.right("running_mean") or not probe.given("running_var"):
        return None
    if probe.right("running_var"):
        return 0.0
    actual = probe.outcome.running_var
    assert actual is not None
    if (compare(actual, expect(case, replace(claims, grade="NN"))["running_var"]).ratio > 1).any():
        return None
    value = high(probe.expected["running_var"].value)
    axes = (0, *range(2, case.x.ndim))
    batch = case.x.astype(np.float64).var(axis=axes) * (case.momentum or 1.0)
    return float((np.abs(actual.astype(np.float64) - value) / batch).max())
