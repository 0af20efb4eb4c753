"""P: side effects."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bnconform.cases.spaces import FORWARD_MODE, INFERENCE, SECOND_ORDER, TRAINING
from bnconform.cases.strategies import AnyOf, Cases, InThreads
from bnconform.judging.expression import listed
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform_adapters.contract import Case, Outcome

THREADS = 4
FEW = 1 / 30
"""Share of the examples for a law that starts a process for each example."""

BOTH_MODES = AnyOf(
    (Cases(replace(TRAINING, gradients="where claimed")), Cases(replace(INFERENCE, gradients="where claimed")))
)


@requirement("P1", given=BOTH_MODES)
def test_inputs_are_unchanged(judge: Judge, case: Case) -> None:
    """x, dy, weight and bias keep their bits through forward and backward, and need not be writable."""
    outcome = judge.run(case)
    if "x" not in outcome.inputs_after:
        judge.broken("x", "was not returned by the adapter and cannot be compared")
    judge.left_alone(case, outcome)
    locked = judge.run(replace(case, read_only=True))
    judge.same_bits("y", locked.y, outcome.y, "for inputs that cannot be written and for writable ones")


LONG = Cases(replace(TRAINING, gradients="where claimed", n=(2049, 4097)))


@requirement("P2", given=AnyOf((BOTH_MODES, LONG)))
def test_same_call_gives_same_bits(judge: Judge, case: Case) -> None:
    """Two calls with equal inputs give equal bits."""
    first, second = judge.run(case), judge.run(case)
    for name in ("y", *STATISTICS, *GRADIENTS):
        judge.same_bits(name, getattr(first, name), getattr(second, name), "in two calls with equal inputs")


@requirement("P3", given=BOTH_MODES)
def test_no_call_remembers_an_earlier_one(judge: Judge, case: Case) -> None:
    """A call repeats its bits after calls with other data, parameters, eps and sizes, which are judged, too."""
    first = judge.run(case)
    other = replace(
        case,
        x=-2 * case.x,
        dy=None if case.dy is None else 3 * case.dy,
        weight=None if case.weight is None else -3 * case.weight,
        bias=None if case.bias is None else case.bias + 1,
        running_mean=None if case.running_mean is None else 2 * case.running_mean + 1,
        eps=4 * case.eps if judge.claims.any_eps else case.eps,
    )
    inside = case.x.copy()  # the ends stay: a cache of results may use them as its key
    inside.reshape(-1)[1:-1] *= inside.dtype.type(-3)
    samples = max(1, (case.x.shape[0] + 1) // 2)
    part = replace(other, x=other.x[:samples], dy=None if other.dy is None else other.dy[:samples])
    if case.training and part.values_per_channel < 2:
        part = other
    spread = replace(case, running_var=None if case.running_var is None else 4 * case.running_var)
    for between in (other, part, replace(case, x=inside), spread, case):
        last = judge.run(between)
        judge.agrees(between, last, ("y", *STATISTICS, *GRADIENTS))
    for name in ("y", *STATISTICS, *GRADIENTS):
        judge.same_bits(name, getattr(last, name), getattr(first, name), "after calls with other data and at first")


ONE_ROW = Cases(replace(INFERENCE, gradients="where claimed", n=(1, 2)))


@requirement("P4", given=AnyOf((BOTH_MODES, ONE_ROW)), share=0.5)
def test_results_share_no_memory(judge: Judge, case: Case) -> None:
    """y, dx, dweight and dbias share memory with neither the inputs nor one another."""
    outcome = judge.run(case)
    for pair in outcome.shared:
        judge.broken(pair.split()[0], f"shares memory: {pair}", listed(outcome, "shares", pair))


@requirement("P5", given=BOTH_MODES)
def test_memory_around_inputs_is_untouched(judge: Judge, case: Case) -> None:
    """Guard zones before, behind and between the inputs' elements keep their bits."""
    outcome = judge.run(case)
    for name in outcome.overrun:
        judge.broken(name, "has memory around it that was written to", listed(outcome, "overrun", name))


@requirement("P6", given=BOTH_MODES)
def test_old_contents_of_memory_do_not_matter(judge: Judge, case: Case) -> None:
    """Memory full of NaN that is freed just before the call does not change the results."""
    clean, spoilt = judge.run(case), judge.run_in_spoilt_memory(case)
    for name in ("y", *STATISTICS, *GRADIENTS):
        judge.same_bits(name, getattr(spoilt, name), getattr(clean, name), "when memory held NaN before and when not")


@requirement("P7", given=InThreads((BOTH_MODES,)), share=0.2)
def test_threads_do_not_mix(judge: Judge, case: Case) -> None:
    """Calls from four threads at once, with different data, give the same results as one after the other."""
    other = replace(case, x=-2 * case.x, dy=None if case.dy is None else 3 * case.dy)
    apart = [judge.run(one) for one in (case, other)]
    for i, outcome in enumerate(judge.attempt_together([case, other] * THREADS, THREADS)):
        judge.answered((case, other)[i % 2], outcome, "when called from several threads")
        for name in ("y", *STATISTICS, *GRADIENTS):
            alone = getattr(apart[i % 2], name)
            judge.same_bits(name, getattr(outcome, name), alone, "in one of several threads and alone")


@requirement("P8", given=BOTH_MODES, share=FEW)
def test_fresh_process_gives_the_same_answer(judge: Judge, case: Case) -> None:
    """A process that has never called the implementation gives the same bits."""
    here, there = judge.run(case), judge.in_fresh_process(case)
    judge.answered(case, there, "in a fresh process")
    for name in ("y", *STATISTICS, *GRADIENTS):
        judge.same_bits(name, getattr(there, name), getattr(here, name), "in a fresh process and here")


DERIVATIVES = AnyOf(
    tuple(
        Cases(replace(space, mode=mode, cotangents=("all",)))
        for space in (SECOND_ORDER, FORWARD_MODE)
        for mode in ("training", "inference")
    )
)


@requirement("P9", given=DERIVATIVES)
def test_derivatives_of_gradients_have_no_side_effects(judge: Judge, case: Case) -> None:
    """Second-order gradients and forward mode keep the bits of their inputs, and two calls give equal bits."""
    mode = "training" if case.training else "inference"
    if mode in judge.claims.second_order and case.dy is not None:
        _repeats(judge, case, judge.second_order, ("ddy", "dx", "dweight"))
    if mode in judge.claims.forward_mode:
        _repeats(judge, case, judge.jvp, ("y_tangent",))


def _repeats(judge: Judge, case: Case, call: Callable[[Case], Outcome], names: Sequence[str]) -> None:
    first, second = call(case), call(case)
    judge.left_alone(case, first)
    for name in names:
        judge.same_bits(name, getattr(second, name), getattr(first, name), "in two calls with equal inputs")
