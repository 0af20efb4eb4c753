"""Training on one value per channel, and on an empty batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.identify.answers import Answer, worst_ratio
from bnconform.identify.averaging import Averaging
from bnconform.identify.probe import Probe, few, finite, got, predicted, trouble
from bnconform_adapters.contract import Case, Outcome

_NAMED = {("y is bias", "a variance of 0 is blended in"): "zero_variance", ("y is x", "statistics stay"): "identity"}


def _case(probe: Probe, rows: list[list[float]]) -> Case:
    array = np.array(rows, np.float64).reshape(CHANNELS, -1)
    return probe.case(array, weight=2.0, bias=7.0, running_mean=0.5, running_var=2.0, momentum=0.25, eps=1e-3)


def one_value(probe: Probe, averaging: Averaging) -> Answer:
    """The answer on training with one value per channel."""
    claimed = probe.claims.dialect.one_value
    probe.need("training")
    case = _case(probe, [[1.0], [-3.0], [5.0]])
    outcome = probe.attempt(case)[0]
    if outcome.error is not None:
        value, evidence = ("raises" if not outcome.exit else trouble(outcome)), f"n = 1: {trouble(outcome)}"
    else:
        value = _of_one_value(case, outcome, averaging)
        y, var = (few(got(outcome, name, case).ravel()[:1]) for name in ("y", "running_var"))
        evidence = f"n = 1, x = 1, weight 2, bias 7, running_var 2: y = {y}, running_var {var}"
    stated = {"one_value": value} if value in ("raises", "zero_variance", "identity") else None
    return Answer(
        "one value per channel",
        value,
        evidence,
        claimed=claimed,
        agrees=value == claimed,
        stated=stated,
        laws=("X2",),
    )


def _of_one_value(case: Case, outcome: Outcome, averaging: Averaging) -> str:
    y, var = got(outcome, "y", case), got(outcome, "running_var", case).astype(np.float64)
    assert case.running_var is not None
    if worst_ratio([(y, predicted(case, "y"))]) <= 1:
        head = "y is bias"
    elif (y == case.x).all():
        head = "y is x"
    else:
        head = "y is NaN" if np.isnan(y.astype(np.float64)).all() else "y is neither x nor bias"
    if not finite(var):
        tail = "the stored variance is not finite"
    elif (var == case.running_var).all():
        tail = "statistics stay"
    elif averaging.weight is None:
        tail = "statistics move"
    else:
        weight = averaging.weight(0.25)
        moved = replace(case, momentum=weight)
        quantity = predicted(moved, "running_var")
        tail = (
            "a variance of 0 is blended in"
            if worst_ratio([(got(outcome, "running_var", case), quantity)]) <= 1
            else "statistics move"
        )
    return _NAMED.get((head, tail), f"{head}, {tail}")


def empty_batch(probe: Probe, averaging: Averaging) -> Answer:
    """The answer on training with an empty batch."""
    field, claimed = "empty batch", probe.claims.dialect.empty_batch
    probe.need("training")
    case = _case(probe, [[], [], []])
    outcome = probe.attempt(case)[0]
    if outcome.error is not None:
        value = "raises" if not outcome.exit else trouble(outcome)
        evidence = f"N = 0: {trouble(outcome)}"
    else:
        y, mean, var = (got(outcome, name, case) for name in ("y", "running_mean", "running_var"))
        evidence = f"N = 0, running_var 2: y of shape {list(y.shape)}, running_var {few(var[:1])}"
        if (mean == case.running_mean).all() and (var == case.running_var).all():
            value = "keeps"
        elif not finite(mean, var):
            value = "NaN statistics"
        else:
            value = _decay(case, outcome, averaging)
    stated = {"empty_batch": value} if value in ("keeps", "raises") else None
    return Answer(field, value, evidence, claimed=claimed, agrees=value == claimed, stated=stated, laws=("S9", "X3"))


def _decay(case: Case, outcome: Outcome, averaging: Averaging) -> str:
    """Return True if the statistics moved as they do for a batch of zeros."""
    if averaging.weight is None:
        return "statistics move"
    zeros = replace(case, x=np.zeros((1, *case.x.shape[1:]), case.x.dtype), momentum=averaging.weight(0.25))
    pairs = [(got(outcome, name, case), predicted(zeros, name)) for name in ("running_mean", "running_var")]
    return "counts as zeros" if worst_ratio(pairs) <= 1 else "statistics move"
