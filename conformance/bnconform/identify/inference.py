"""Inference: which statistics normalize, and the handling of absent and negative ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.identify.answers import Answer, decide
from bnconform.identify.normalizer import Normalizer
from bnconform.identify.probe import Probe, few, got, predicted, trouble
from bnconform_adapters.contract import Case


def inference_by(found: Normalizer) -> Answer:
    """The answer on the statistics that normalize in inference."""
    value = found.of(0)
    return Answer(
        "inference normalizes by",
        value if value.startswith("none") else f"{value} variance",
        found.seen,
        claimed="running variance",
        agrees=None if " or " in value else value == "running",
        laws=("I1",),
    )


def without_statistics(probe: Probe) -> Answer:
    """The answer on inference without running statistics."""
    field = "inference without statistics"
    probe.need("inference")
    rows = np.array([[-0.5, 1.0], [-1.0, 4.0], [2.0, 3.0]])
    case = probe.case(rows, training=False, running_mean=None, running_var=None, eps=1e-3)
    claimed = "by the batch's own" if probe.claims.untracked else ""
    outcome = probe.attempt(case)[0]
    shown = "running_mean and running_var None"
    if outcome.error is not None:
        met = f"{shown}: {trouble(outcome)}"
        return Answer(field, "not offered", met, claimed=claimed, agrees=False if claimed else None)
    y = got(outcome, "y", case)
    fresh = replace(case, running_mean=np.zeros(CHANNELS), running_var=np.ones(CHANNELS))
    found = decide(
        {
            "by the batch's own": [(y, predicted(case, "y"))],
            "by mean 0 and variance 1": [(y, predicted(fresh, "y"))],
        }
    )
    agrees = found.value == claimed if claimed and found.value else None
    stated = {"untracked": True} if found.value == "by the batch's own" else None
    return Answer(
        field,
        found.words(),
        f"{shown}: y[0] = {few(y[0])}",
        found.status,
        claimed=claimed,
        agrees=agrees,
        stated=stated,
    )


def negative_variance(probe: Probe) -> Answer:
    """The answer on inference with a negative running variance."""
    field = "negative running variance"
    probe.need("inference")
    eps = 0.25
    case = probe.case(np.array([[1.0, 2.0]] * CHANNELS), training=False, running_var=-1.0, eps=eps)
    outcome = probe.attempt(case)[0]
    shown = f"running_var -1, eps {eps:g}"
    if outcome.error is not None:
        return Answer(field, "raises", f"{shown}: {trouble(outcome)}")
    y = got(outcome, "y", case)
    if np.isnan(y.astype(np.float64)).all():
        return Answer(field, "NaN", f"{shown}: y = NaN")

    def by(variance: float) -> Case:
        return replace(case, running_var=np.full(CHANNELS, variance))

    kinds = {"taken as 0": 0.0, "its sign is lost": 1.0}
    found = decide({name: [(y, predicted(by(v), "y"))] for name, v in kinds.items()})
    value = found.words() if found.within else "finite"
    return Answer(field, value, f"{shown}: y[0] = {few(y[0])}", found.status)
