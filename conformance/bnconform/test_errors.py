"""E: errors."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bnconform.judge import Judge
from bnconform.law import requirement
from bnconform.spaces import INFERENCE, TRAINING
from bnconform.strategies import AnyOf, Cases
from bnconform_adapters.contract import AnyArray, Case

FEW_CHANNELS = replace(TRAINING, kinds=("small",), gradients="where claimed", parameters=("both",))

PRIME = 257


def _longer(array: AnyArray | None) -> AnyArray | None:
    return None if array is None else np.concatenate([array, array[:1]])


def _wrong(case: Case) -> Iterator[tuple[str, Case]]:
    yield "a weight that is too long", replace(case, weight=_longer(case.weight))
    yield "a bias that is too long", replace(case, bias=_longer(case.bias))
    yield "a running mean that is too long", replace(case, running_mean=_longer(case.running_mean))
    yield "a running variance that is too long", replace(case, running_var=_longer(case.running_var))
    wide = np.concatenate([case.x, case.x[:, :1]], axis=1)
    yield "x of one channel more than the parameters", replace(case, x=wide, dy=None)
    yield "x without a channel axis", replace(case, x=case.x.reshape(-1), dy=None, layout="contiguous")
    yield "a negative eps", replace(case, eps=-1.0)
    if case.dy is not None and case.x.shape[0] > 1:
        yield "a dy of a single sample", replace(case, dy=case.dy[:1], dy_layout="contiguous")
    if case.dy is not None:
        yield (
            "a dy of more samples than x",
            replace(case, dy=np.concatenate([case.dy, case.dy]), dy_layout="contiguous"),
        )


@requirement("E1", given=Cases(FEW_CHANNELS), share=0.2)
def test_wrong_arguments_raise(judge: Judge, case: Case) -> None:
    """Parameters of the wrong length, x without channels, a negative eps and a mismatched dy raise."""
    for what, wrong in _wrong(case):
        # The layer is built for the case as it is where only x is wrong.
        built = case if wrong.x is not case.x else wrong
        outcome = judge.attempt_steps([built, wrong])[-1]
        if outcome.error is None:
            judge.broken("call", f"returned for {what}; it must raise")


ANY_CALL = AnyOf(
    tuple(Cases(replace(space, gradients="where claimed", needs=("own_process",))) for space in (TRAINING, INFERENCE))
)


def _odd(case: Case) -> Iterator[Case]:
    """The case with no sample, one, no channel, a large prime number of them, no spatial position and a single one."""
    base = replace(case, layout="contiguous", dy_layout="contiguous")

    def part(index: tuple[Any, ...], **changes: Any) -> Case:
        return replace(base, x=case.x[index], dy=None if case.dy is None else case.dy[index], **changes)

    for samples in (0, 1):
        yield part((slice(samples),))
    for channels in (np.arange(0), np.arange(PRIME) % case.channels):
        vectors = ("weight", "bias", "running_mean", "running_var")
        taken = {name: array[channels] for name in vectors if (array := getattr(case, name)) is not None}
        few = slice(channels.size and 2)
        yield part((few, channels, *(few for _ in case.x.shape[2:])), **taken)
    if case.x.ndim > 2:
        for positions in (0, 1):
            yield part((..., slice(positions)))


@requirement("E2", given=ANY_CALL, share=0.5)
def test_every_call_comes_back(judge: Judge, case: Case) -> None:
    """In both modes, with odd sizes and with wrong arguments, a call returns or raises."""
    for one in (case, *_odd(case)):
        judge.attempt(one)
    for _, wrong in _wrong(case):
        judge.attempt(wrong)
        if wrong.x is not case.x:
            judge.attempt_steps([case, wrong])
