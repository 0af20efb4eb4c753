"""X: special values and sizes."""

from dataclasses import replace
from typing import Any

import numpy as np

from bnconform.cases.own_size import ORDERS, OwnSize
from bnconform.cases.spaces import INFERENCE, TRAINING
from bnconform.cases.strategies import AnyOf, Cases
from bnconform.judging.expression import shown
from bnconform.judging.findings import signature
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform_adapters.claims import Mode
from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_adapters.memory import far_memory

WITH_GRADIENTS = replace(TRAINING, gradients="where claimed")
FAR = replace(WITH_GRADIENTS, layouts=("far",), kinds=("small",))


# Outputs that a NaN or an infinity in one element of an input must reach: the whole channel is then not finite. In
# inference elements do not mix, so x and dy reach only the same element of y and dx.
REACH: dict[str, dict[str, tuple[str, ...]]] = {
    "x": {"training": ("y", "dx", "dweight", *STATISTICS), "inference": ("y", "dweight")},
    "dy": {"training": ("dx", "dweight", "dbias"), "inference": ("dx", "dweight", "dbias")},
    "weight": {"training": ("y", "dx"), "inference": ("y", "dx")},
    "bias": {"training": ("y",), "inference": ("y",)},
    "running_mean": {"training": ("running_mean",), "inference": ("y", "dweight", "running_mean")},
    "running_var": {"training": ("running_var",), "inference": ("y", "dx", "dweight", "running_var")},
}


@requirement(
    "X1", given=AnyOf((Cases(WITH_GRADIENTS), Cases(replace(INFERENCE, gradients="where claimed")))), share=0.5
)
def test_nan_and_infinity_stay_in_their_channel(judge: Judge, case: Case) -> None:
    """One NaN or infinity in an input shows in its channel, in every output that depends on it, and nowhere else."""
    if case.dy_layout == "expanded":  # its elements share memory, so one alone cannot change
        case = replace(case, dy_layout=judge.claims.plain_layout(case.x.ndim))
    clean, channel = judge.run(case), case.channels - 1
    for name in REACH:
        array: AnyArray | None = getattr(case, name)
        if array is None:
            continue
        place: tuple[int, ...] = (channel,) if array.ndim == 1 else (-1, channel, *(0 for _ in case.x.shape[2:]))
        # An infinite variance is an ordinary limit: y is bias.
        for value in (np.nan, np.inf, -np.inf) if name in ("x", "dy") else (np.nan,):
            poisoned = array.copy()
            poisoned[place] = value
            changes: dict[str, Any] = {name: poisoned}
            outcome = judge.run(replace(case, **changes))
            _judge_poisoned(judge, case, clean, outcome, name, place, value)


def _judge_poisoned(
    judge: Judge, case: Case, clean: Outcome, outcome: Outcome, name: str, place: tuple[int, ...], value: float
) -> None:
    reached = REACH[name]["training" if case.training else "inference"]
    alone = not case.training and name in ("x", "dy")
    # A layer need not read a value that has weight 0 in the blend.
    weighs_nothing = (name == "x" and case.momentum == 0) or (name in STATISTICS and case.momentum == 1)
    for output in ("y", *STATISTICS, *GRADIENTS):
        first, second = getattr(clean, output), getattr(outcome, output)
        if first is None or second is None:
            continue
        spoilt = np.zeros(first.shape, bool)
        if output in reached:
            if first.ndim == 1:
                spoilt[case.channels - 1] = True
            elif alone:
                spoilt[place] = True
            else:
                spoilt[:, case.channels - 1] = True
        optional = case.training and output in STATISTICS and weighs_nothing
        if not optional and np.isfinite(second[spoilt]).any():
            finite = shown(second)[spoilt].finite().any()
            judge.broken(output, f"is finite where {value} in {name} must show", finite)
        judge.same_bits(
            output,
            second[~spoilt],
            first[~spoilt],
            f"with and without {value} in {name} elsewhere",
            got=shown(second)[~spoilt],
            expected_of=shown(first)[~spoilt],
        )


@requirement("X2", given=Cases(replace(WITH_GRADIENTS, n=(1,), ratios=(1.0,), values=("normal",))))
def test_one_value_per_channel(judge: Judge, case: Case) -> None:
    """Training on one value per channel raises, or gives bias and a variance of 0, as declared."""
    if judge.claims.dialect.one_value == "raises":
        judge.refused(judge.attempt(case), "training on one value per channel")
        return
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))


@requirement(
    "X3", given=Cases(replace(WITH_GRADIENTS, n=(0,), ratios=(1.0,), values=("normal",), needs=("empty_batches",)))
)
def test_empty_batch(judge: Judge, case: Case) -> None:
    """Training on no values raises, or gives an empty y, unchanged statistics and zero gradients, as declared."""
    if judge.claims.dialect.empty_batch == "raises":
        judge.refused(judge.attempt(case), "training on an empty batch")
        return
    outcome = judge.run(case)
    for name in ("y", "dx"):
        array: AnyArray | None = getattr(outcome, name)
        if array is not None and array.shape != case.x.shape:
            other = shown(array).shape.unequal(case.x.shape)
            judge.broken(name, f"is {signature(array)} for x {signature(case.x)}", other)
    for name in STATISTICS:
        judge.same_bits(name, getattr(outcome, name), getattr(case, name), "after an empty batch and before it")
    for name in ("dweight", "dbias"):
        array = getattr(outcome, name)
        if array is not None and not (array == 0).all():
            nonzero = shown(array).unequal(0).any()
            judge.broken(name, f"is {array.ravel()[0]!s} for an empty batch; the sum of nothing is 0", nonzero)


@requirement("X4", given=Cases(replace(WITH_GRADIENTS, ratios=(1.0,), values=("normal",))), share=0.1)
def test_zero_channels(judge: Judge, case: Case) -> None:
    """x without channels gives a y without channels, or raises, as declared, in both modes."""

    def none(array: AnyArray | None) -> AnyArray | None:
        return None if array is None else array[:0]

    layout = judge.claims.plain_layout(case.x.ndim)
    empty = replace(
        case,
        x=case.x[:, :0],
        dy=None if case.dy is None else case.dy[:, :0],
        layout=layout,
        dy_layout=layout,
        weight=none(case.weight),
        bias=none(case.bias),
        running_mean=none(case.running_mean),
        running_var=none(case.running_var),
    )
    modes: tuple[Mode, ...] = ("training", "inference")
    for mode in modes:
        if mode in judge.claims.modes:
            dy = empty.dy if mode in judge.claims.gradients else None
            call = replace(empty, training=mode == "training", dy=dy)
            outcome = judge.attempt(call)
            if judge.claims.zero_channels == "raises":
                judge.refused(outcome, "x without channels")
            if outcome.error is not None and judge.claims.zero_channels != "empty":
                continue
            judge.answered(call, outcome)
            if outcome.y is None:
                judge.missing("y")
            if outcome.y.shape != empty.x.shape:
                judge.broken("y", f"is {signature(outcome.y)} in {mode}", shown(outcome.y).shape.unequal(empty.x.shape))


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
)


# At great lengths the allowed error hides a lost element among similar values: the place of values must matter.
PLACED = replace(WITH_GRADIENTS, values=("sorted", "two_valued"), ratios=(1.0, 0.0))


@requirement(
    "X5",
    given=AnyOf(
        (
            *(3 * (Cases(replace(WITH_GRADIENTS, n=EDGES)),)),
            *(2 * (Cases(replace(WITH_GRADIENTS, kinds=("wide",))),)),
            Cases(replace(PLACED, kinds=("long",))),
            Cases(replace(PLACED, n=(32769, 65537))),
            Cases(replace(PLACED, kinds=("bulk",))),
            Cases(replace(PLACED, kinds=("deep",), values=("across_space", "sorted"))),
        )
    ),
    share=4.0,
)
def test_sizes_at_block_edges(judge: Judge, case: Case) -> None:
    """Reductions lose no element at lengths around powers of two and at channel counts that are not powers of two."""
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))


@requirement("X6", given=AnyOf((Cases(FAR), Cases(replace(FAR, mode="inference")))), share=0.5)
def test_elements_may_be_far_apart(judge: Judge, case: Case) -> None:
    """Views with rows more than 2^32 elements apart are read at the right addresses.

    Only address space lies between the rows; without enough of it, nothing is judged.
    """
    if not far_memory():
        judge.mistrust()
        return
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))


@requirement("X9", given=OwnSize(), share=0.01, least=len(ORDERS))
def test_own_size(judge: Judge, case: Case) -> None:
    """At the shape, the dtype and the distribution of get_inputs(), everything is right in both modes."""
    judge.agrees(case, judge.run(case), ("y", *STATISTICS, *GRADIENTS))
