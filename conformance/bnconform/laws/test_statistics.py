"""S: running statistics."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import TRAINING
from bnconform.cases.strategies import Cases, Sequences
from bnconform.judging.expected_state import ExpectedState
from bnconform.judging.expression import shown
from bnconform.judging.histories import Histories
from bnconform.judging.judge import STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import expect
from bnconform_adapters.contract import DTYPES, AnyArray, Case, Outcome, parameter_dtype
from bnconform_reference.double_double import high

WITH_INFERENCE = replace(TRAINING, also=("inference",))


@requirement(
    "S1",
    given=Cases(
        replace(
            TRAINING,
            momenta=(0.1, 0.3, 0.9, 1.0, 0.0, 2.0**-20),
            statistics=("random", "new", "small_variance"),
            weights=("random", "negative", "zero"),
            spreads=("unit", "varied", "tiny"),
            needs=("tracked",),
        )
    ),
)
def test_running_statistics_blend_old_and_new(judge: Judge, case: Case) -> None:
    """The running statistics become (1 - m) old + m new, for m = 0, tiny, ordinary and 1."""
    judge.agrees(case, judge.run(case), STATISTICS)


@requirement(
    "S2",
    given=Cases(
        replace(
            TRAINING,
            n=(2, 3, 4),
            ratios=(1.0, 0.0),
            values=("normal", "two_valued"),
            momenta=(0.1, 0.3, 0.9, 1.0),
            needs=("tracked",),
        )
    ),
)
def test_stored_variance_has_the_declared_divisor(judge: Judge, case: Case) -> None:
    """The stored variance divides by n - 1 or n, as declared, seen at n = 2, 3, 4."""
    stored = judge.agrees(case, judge.run(case), ["running_var"])["running_var"]
    biased = judge.claims.dialect.stored_variance == "biased"
    other_dialect = replace(judge.claims.dialect, stored_variance="unbiased" if biased else "biased")
    other = expect(case, replace(judge.claims, dialect=other_dialect))["running_var"]
    if not (np.abs(high(other.value) - high(stored.value)) > stored.allowed).any():
        judge.mistrust()


def follow(judge: Judge, steps: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
    """Judge each step by the recurrence."""
    expected_state = ExpectedState(judge, steps[0])
    for case, outcome in zip(steps, outcomes, strict=True):
        expected_state.enter(case, outcome)


@requirement(
    "S3",
    given=Sequences(
        replace(
            TRAINING,
            momenta=(None,),
            values=("normal", "two_valued", "digits"),
            ratios=(1.0, 10.0, 0.0),
            also=("inference",),
        ),
        kinds=("training", "inference", "empty", "single"),
    ),
)
def test_momentum_none_averages_the_batches_seen(judge: Judge, *steps: Case) -> None:
    """Momentum None gives the plain average over the batches actually seen."""
    steps = (*steps, steps[0])
    follow(judge, steps, judge.attempt_steps(steps))


@requirement("S4", given=Sequences(WITH_INFERENCE, kinds=("training", "inference")))
def test_steps_follow_the_recurrence(judge: Judge, *steps: Case) -> None:
    """Each of k steps follows the recurrence, and inference afterwards uses the resulting statistics."""
    steps = (*steps, replace(steps[0], training=False))
    follow(judge, steps, judge.run_steps(steps))


@requirement("S11", given=Histories(replace(WITH_INFERENCE, statistics=("random", "new"))))
def test_any_history_leaves_the_state_of_the_recurrence(judge: Judge, *steps: Case) -> None:
    """Training, inference, loading, resetting, refused and empty batches in any order leave the right state."""
    follow(judge, steps, judge.attempt_steps(steps))


@requirement("S5", given=Cases(WITH_INFERENCE))
def test_only_training_writes_and_only_once(judge: Judge, case: Case) -> None:
    """Inference keeps the statistics' bits; one training step moves them once."""
    inference = replace(case, training=False)
    before, trained, after = judge.run_steps([inference, case, inference])
    for name in STATISTICS:
        judge.same_bits(name, getattr(before, name), getattr(case, name), "after inference and before it")
        judge.same_bits(name, getattr(after, name), getattr(trained, name), "after inference and before it")
    once = judge.agrees(case, trained, STATISTICS)
    mean, var = (high(once[name].value) for name in STATISTICS)
    parameter = DTYPES[parameter_dtype(case.dtype)]
    twice = judge.expect(replace(case, running_mean=mean.astype(parameter), running_var=var.astype(parameter)))
    moved = [np.abs(high(twice[n].value) - high(once[n].value)) > once[n].allowed for n in STATISTICS]
    if not any(difference.any() for difference in moved):
        judge.mistrust()


@requirement("S9", given=Cases(replace(WITH_INFERENCE, needs=("empty_batches",))))
def test_empty_batch_spoils_no_statistic(judge: Judge, case: Case) -> None:
    """An empty batch leaves the statistics unchanged, bit for bit."""
    empty = replace(case, x=case.x[:0], layout=judge.claims.plain_layout(case.x.ndim))
    inference = replace(case, training=False)
    before, outcome, after = judge.attempt_steps([case, empty, inference])
    judge.answered(case, before)
    judge.answered(inference, after)
    if outcome.error is None:
        judge.answered(empty, outcome)
    for name in STATISTICS:
        for given in (outcome, after):
            if given.error is None:
                judge.same_bits(name, getattr(given, name), getattr(before, name), "after an empty batch and before it")


@requirement("S6", given=Cases(replace(WITH_INFERENCE, statistics=("absent",), needs=("untracked",))))
def test_without_tracking_nothing_is_written(judge: Judge, case: Case) -> None:
    """Without running statistics a step returns none, and inference normalizes by the batch's own."""
    for step in (case, replace(case, training=False)):
        outcome = judge.run(step)
        judge.agrees(step, outcome, ["y"])
        for name in STATISTICS:
            if getattr(outcome, name) is not None:
                there = shown(getattr(outcome, name)).is_not_none()
                judge.broken(name, "is present, although none was given", there)


@requirement("S7", given=Cases(replace(WITH_INFERENCE, momenta=(0.3, 0.9))))
def test_strided_statistics_are_updated(judge: Judge, case: Case) -> None:
    """Running statistics keep their dtype, and non-contiguous views are really updated."""
    strided = replace(case, statistics_layout="sliced" if judge.claims.strided_statistics else "contiguous")
    inference = replace(strided, training=False)
    before, outcome, after = judge.run_steps([inference, strided, inference])
    judge.agrees(inference, before, ["y"])
    judge.agrees(case, outcome, STATISTICS)
    for name in STATISTICS:
        array = getattr(outcome, name)
        if array.dtype != getattr(case, name).dtype:
            other = shown(array).dtype.unequal(shown(getattr(case, name)).dtype)
            judge.broken(name, f"is {array.dtype} after a step; it was given as {getattr(case, name).dtype}", other)
        judge.same_bits(name, getattr(after, name), array, "after inference and before it")


@requirement("S8", given=Cases(replace(WITH_INFERENCE, needs=("any_refusal",))))
def test_refused_call_leaves_the_state(judge: Judge, case: Case) -> None:
    """A call that raises, for a wrong number of channels or one value per channel, changes no running statistic."""
    wrong = replace(case, x=np.concatenate([case.x, case.x[:, :1]], axis=1), dy=None)
    of_channels = judge.claims.checks_arguments
    if judge.claims.dialect.one_value == "raises" and (case.x.shape[0] % 2 or not of_channels):
        single = case.x[(slice(0, 1), slice(None), *(slice(0, 1) for _ in case.x.shape[2:]))]
        wrong = replace(case, x=single, dy=None)
    inference = replace(case, training=False)
    trained, before, refused, after, again = judge.attempt_steps([case, inference, wrong, inference, case])
    if refused.error is None:
        return judge.mistrust()  # E1 asks whether it must raise
    for given, step in ((case, trained), (inference, before), (inference, after), (case, again)):
        judge.answered(given, step)
    for name in ("y", *STATISTICS):
        judge.same_bits(name, getattr(after, name), getattr(before, name), "after a refused call and before it")
    now = replace(case, running_mean=before.running_mean, running_var=before.running_var)
    judge.agrees(now, again, STATISTICS)
    return None


@requirement("S10", given=Sequences(replace(TRAINING, needs=("population",)), kinds=("training", "empty", "single")))
def test_population_statistics_are_those_of_the_whole(judge: Judge, *steps: Case) -> None:
    """Population statistics over batches of unequal sizes, also empty ones, equal those of all data at once."""
    outcome = judge.population(steps)
    whole = replace(steps[0], x=np.concatenate([_as_samples(case) for case in steps]), momentum=1.0)
    judge.agrees(whole, outcome, STATISTICS)


def _as_samples(case: Case) -> AnyArray:
    """Return x as (N * spatial, C), so that batches of different spatial sizes can be joined."""
    return np.moveaxis(case.x, 1, -1).reshape(-1, case.channels)
