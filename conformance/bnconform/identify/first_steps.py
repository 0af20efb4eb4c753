"""The first steps of a new layer: its initial statistics, and whether the first batches weigh differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bnconform.identify.answers import Answer, Decision, decide, worst_ratio
from bnconform.identify.averaging import PAIRS, STAYS, TRIPLES, Averaging, Step, mean_by, own_weight, took
from bnconform.identify.probe import Probe, Unanswered, few, finite, got, predicted, returned, trouble
from bnconform_adapters.contract import Case, Outcome
from bnconform_reference.double_double import Array

STEPS = 3
DEBIASED = "divided by 1 - (1 - m)^k"


def _sequences(weight: float) -> dict[str, Sequence[float]]:
    """The weights of the first batches, by the kind of average."""
    steps = range(1, STEPS + 1)
    return {
        "none": [weight for _ in steps],
        "the first batch replaces": [1.0, *(weight for _ in steps[1:])],
        DEBIASED: [weight / (1 - (1 - weight) ** k) for k in steps],
        "plain average of all batches": [1 / k for k in steps],
    }


def _first_steps(probe: Probe, momentum: float | None) -> tuple[list[Step], Outcome, Case]:
    """Training steps of a new layer, then an inference. Each case has the statistics before the call."""
    scales = (1.0, 2.0, 0.5)
    cases = [probe.case(TRIPLES * scale + scale, momentum=momentum, eps=1e-3) for scale in scales]
    inference = replace(cases[0], training=False, momentum=0.25)
    cases[0] = replace(cases[0], before="reset")
    modes = probe.claims.modes
    outcomes = probe.attempt(*cases, *([inference] if "inference" in modes else []))
    returned(outcomes[:STEPS])
    steps: list[Step] = []
    for case, outcome in zip(cases, outcomes, strict=False):
        before = case if not steps else replace(case, running_mean=steps[-1].mean, running_var=steps[-1].var)
        steps.append(took(before, outcome))
    return steps, outcomes[-1], replace(inference, running_mean=steps[-1].mean, running_var=steps[-1].var)


def _by_sequence(steps: Sequence[Step], sequences: Mapping[str, Sequence[float]]) -> Decision:
    return decide(
        {
            name: [(step.mean, mean_by(step.case, weight)) for step, weight in zip(steps, weights, strict=True)]
            for name, weights in sequences.items()
        }
    )


def debiasing(probe: Probe, found: Averaging) -> Answer:
    """The answer on whether the first steps follow the same recurrence as later ones."""
    field = "debiasing of running statistics"
    if found.weight is None:
        raise Unanswered("the weight of a batch is not known")
    weight = found.weight(0.25)
    if weight == 0:
        raise Unanswered("the running mean does not move")
    steps, last, inference = _first_steps(probe, 0.25)
    claimed = DEBIASED if probe.claims.dialect.debiased else "none"
    decision = _by_sequence(steps, _sequences(weight))
    value = decision.words()
    shown = f"{STEPS} steps from 0 and 1: running_mean[0] = {', '.join(few(step.mean[:1]) for step in steps)}"
    if decision.value == "none" and "inference" in probe.claims.modes and last.error is None:
        value = _at_inference(inference, last, 1 - (1 - weight) ** STEPS) or value
    return Answer(
        field,
        value,
        shown,
        decision.status,
        claimed=claimed,
        agrees=value == claimed if decision.value else None,
        # Where the first steps are divided, the old statistics must have a weight below 1.
        stated={"debiased": True, "momentum_min": 2.0**-20} if value == DEBIASED else None,
    )


def _at_inference(case: Case, outcome: Outcome, share: float) -> str | None:
    """The answer on whether inference divides the stored statistics by the weight of all batches seen."""
    y = got(outcome, "y", case)
    assert case.running_mean is not None
    assert case.running_var is not None
    divided = replace(
        case,
        running_mean=case.running_mean.astype(np.float64) / share,
        running_var=case.running_var.astype(np.float64) / share,
    )
    stored, debiased = (worst_ratio([(y, predicted(one, "y"))]) for one in (case, divided))
    return "inference divides by 1 - (1 - m)^k" if debiased <= 1 < stored else None


def momentum_none(probe: Probe) -> Answer:
    """The answer on the meaning of momentum None."""
    offered = probe.claims.dialect.cumulative
    field, claimed = "momentum None", "cumulative" if offered else "not cumulative"
    probe.need("training")
    try:
        steps, *_ = _first_steps(probe, None)
    except Unanswered as trouble_met:
        if trouble_met.fatal:
            raise
        return Answer(field, "not offered", str(trouble_met), claimed=claimed, agrees=not offered, laws=("S3",))
    sequences = {"cumulative": _sequences(0.5)["plain average of all batches"]}
    sequences |= {"the new batch replaces": [1.0] * STEPS, STAYS: [0.0] * STEPS}
    own = own_weight(replace(steps[0], case=replace(steps[0].case, momentum=0.5)))
    sequences |= {f"as {name.removeprefix('always ')}": [weight(0.5)] * STEPS for name, weight in own.items()}
    decision = _by_sequence(steps, sequences)
    shown = f"{STEPS} steps: running_mean[0] = {', '.join(few(step.mean[:1]) for step in steps)}"
    value = decision.words() if finite(*(step.mean for step in steps)) else "NaN statistics"
    return Answer(
        field,
        value,
        shown,
        decision.status,
        claimed=claimed,
        agrees=(value == "cumulative") == offered,
        stated={"cumulative": value == "cumulative"},
        laws=("S3",),
    )


def initial_statistics(probe: Probe) -> Answer:
    """Statistics of a new layer that makes its own."""
    field = "initial statistics"
    dialect = probe.claims.dialect
    claimed = f"{dialect.initial_mean:g} and {dialect.initial_variance:g}"
    probe.need("inference")
    given = probe.case(PAIRS, training=False, running_mean=0.375, running_var=2.625)
    ways: dict[str, list[Case]] = {
        "after reset": [given, replace(given, before="reset")],
        "a layer built without given ones": [replace(given, running_mean=None, running_var=None)],
    }
    untouched = _statistics_after(probe, [given, given])
    for way, cases in ways.items():
        found = _statistics_after(probe, cases)
        if found is None or (untouched is not None and np.array_equal(found, untouched)):
            continue
        uniform = (found == found[:, :1]).all()
        value = " and ".join(few(row[:1] if uniform else row) for row in found)
        stated = {"initial_mean": float(found[0, 0]), "initial_variance": float(found[1, 0])} if uniform else None
        return Answer(field, value, way, claimed=claimed, agrees=value == claimed, stated=stated)
    tried = probe.attempt(ways["a layer built without given ones"][0])[0]
    why = trouble(tried) if tried.error else "no statistics come back from a layer that is given none"
    return Answer(field, "", f"given by the caller; {why}", "not measurable")


def _statistics_after(probe: Probe, cases: Sequence[Case]) -> Array | None:
    """Running mean and variance after calls, shape (2, C); None if there are none."""
    last = probe.attempt(*cases)[-1]
    try:
        return np.stack([got(last, name, cases[0]).astype(np.float64) for name in ("running_mean", "running_var")])
    except Unanswered:
        return None
