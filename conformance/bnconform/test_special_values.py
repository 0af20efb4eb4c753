"""X: special values and sizes."""

from dataclasses import replace

import numpy as np

from bnconform.findings import signature
from bnconform.judge import GRADIENTS, STATISTICS, Judge
from bnconform.law import requirement
from bnconform.spaces import INFERENCE, TRAINING
from bnconform.strategies import AnyOf, Cases
from bnconform_adapters.contract import AnyArray, Case

WITH_GRADIENTS = replace(TRAINING, gradients="where claimed")


def _poison(case: Case, channel: int, value: float) -> Case:
    x = case.x.copy()
    x[(-1, channel, *(0 for _ in x.shape[2:]))] = value
    return replace(case, x=x)


@requirement("X1", given=AnyOf((Cases(WITH_GRADIENTS), Cases(replace(INFERENCE, gradients="where claimed")))))
def test_nan_and_infinity_stay_in_their_channel(judge: Judge, case: Case) -> None:
    """One NaN or infinity in x shows in all of its channel (training) or at itself (inference), and nowhere else."""
    clean, channel = judge.run(case), case.channels - 1
    for value in (np.nan, np.inf):
        poisoned = _poison(case, channel, value)
        outcome = judge.run(poisoned)
        spoilt = ~np.isfinite(poisoned.x)
        if case.training:
            spoilt[:, channel] = True
        else:
            judge.same_bits("dx", outcome.dx, clean.dx, f"with and without {value} in x")
        if outcome.y is not None and np.isfinite(outcome.y[spoilt]).any():
            judge.broken("y", f"is finite where {value} in x must show")
        for name in ("y", *STATISTICS, *GRADIENTS):
            first, second = getattr(clean, name), getattr(outcome, name)
            if first is None or second is None:
                continue
            others = np.arange(case.channels) != channel
            elsewhere = ~spoilt if name == "y" else others if first.ndim == 1 else (slice(None), others)
            judge.same_bits(name, first[elsewhere], second[elsewhere], f"without and with {value} elsewhere in x")
            if name in STATISTICS and case.training and np.isfinite(second[channel]):
                judge.broken(name, f"is {second[channel]!s} in a channel with {value} in x; it must not be finite")


@requirement("X2", given=Cases(replace(WITH_GRADIENTS, n=(1,), ratios=(1.0,), values=("normal",))))
def test_one_value_per_channel(judge: Judge, case: Case) -> None:
    """Training on one value per channel raises, or gives bias and a variance of 0, as declared."""
    if judge.claims.dialect.one_value == "raises":
        (outcome,) = judge.attempt_steps([case])
        if outcome.error is None:
            judge.broken("call", "returned; training on one value per channel is declared to raise")
        return
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))


@requirement(
    "X3", given=Cases(replace(WITH_GRADIENTS, n=(0,), ratios=(1.0,), values=("normal",), needs=("empty_batches",)))
)
def test_empty_batch(judge: Judge, case: Case) -> None:
    """Training on no values raises, or gives an empty y, kept statistics and zero gradients, as declared."""
    if judge.claims.dialect.empty_batch == "raises":
        (outcome,) = judge.attempt_steps([case])
        if outcome.error is None:
            judge.broken("call", "returned; training on an empty batch is declared to raise")
        return
    outcome = judge.run(case)
    for name in ("y", "dx"):
        array: AnyArray | None = getattr(outcome, name)
        if array is not None and array.shape != case.x.shape:
            judge.broken(name, f"is {signature(array)} for x {signature(case.x)}")
    for name in STATISTICS:
        judge.same_bits(name, getattr(outcome, name), getattr(case, name), "after an empty batch and before it")
    for name in ("dweight", "dbias"):
        array = getattr(outcome, name)
        if array is not None and not (array == 0).all():
            judge.broken(name, f"is {array.ravel()[0]!s} for an empty batch; the sum of nothing is 0")


@requirement("X4", given=Cases(replace(WITH_GRADIENTS, ratios=(1.0,), values=("normal",))), share=0.1)
def test_zero_channels(judge: Judge, case: Case) -> None:
    """x without channels gives a y without channels, in both modes."""

    def none(array: AnyArray | None) -> AnyArray | None:
        return None if array is None else array[:0]

    empty = replace(
        case,
        x=case.x[:, :0],
        dy=None if case.dy is None else case.dy[:, :0],
        layout="contiguous",
        dy_layout="contiguous",
        weight=none(case.weight),
        bias=none(case.bias),
        running_mean=none(case.running_mean),
        running_var=none(case.running_var),
    )
    for training in (True, False):
        if (mode := "training" if training else "inference") in judge.claims.modes:
            outcome = judge.run(replace(empty, training=training))
            if outcome.y is None or outcome.y.shape != empty.x.shape:
                judge.broken("y", f"is {None if outcome.y is None else signature(outcome.y)} in {mode}")


EDGES = (
    2,
    3,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    128,
    129,
    1023,
    1024,
    1025,
    2047,
    2048,
    2049,
    4095,
    4096,
    4097,
    65537,
    65537,
)


@requirement(
    "X5",
    given=AnyOf((Cases(replace(WITH_GRADIENTS, n=EDGES)), Cases(replace(WITH_GRADIENTS, kinds=("wide",))))),
    share=3.0,
)
def test_sizes_at_block_edges(judge: Judge, case: Case) -> None:
    """Reduction lengths around powers of two, and channel counts that are none, lose no element."""
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))
