"""P: side effects."""

from dataclasses import replace

from bnconform.judge import GRADIENTS, STATISTICS, Judge
from bnconform.law import requirement
from bnconform.spaces import INFERENCE, TRAINING
from bnconform.strategies import AnyOf, Cases
from bnconform_adapters.contract import Case

BOTH_MODES = AnyOf(
    (Cases(replace(TRAINING, gradients="where claimed")), Cases(replace(INFERENCE, gradients="where claimed")))
)


@requirement("P1", given=BOTH_MODES)
def test_inputs_are_unchanged(judge: Judge, case: Case) -> None:
    """x, dy, weight and bias have their bits when forward and backward are over."""
    after = judge.run(case).inputs_after
    if "x" not in after:
        judge.broken("x", "was not handed back by the adapter; it cannot be compared")
    for name, array in after.items():
        judge.same_bits(name, array, getattr(case, name), "after the call and before it")


@requirement("P2", given=BOTH_MODES)
def test_same_call_gives_same_bits(judge: Judge, case: Case) -> None:
    """Two calls with equal inputs give equal bits."""
    first, second = judge.run(case), judge.run(case)
    for name in ("y", *STATISTICS, *GRADIENTS):
        judge.same_bits(name, getattr(first, name), getattr(second, name), "in two calls with equal inputs")
