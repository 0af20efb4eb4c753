"""E: errors."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bnconform.cases.spaces import INFERENCE, TRAINING
from bnconform.cases.strategies import AnyOf, Cases
from bnconform.judging.judge import Judge
from bnconform.judging.law import requirement
from bnconform_adapters.claims import Layout, Mode
from bnconform_adapters.contract import Case

FEW_CHANNELS = AnyOf(
    tuple(
        Cases(
            replace(
                space, kinds=("small",), gradients="where claimed", parameters=("both",), needs=("checks_arguments",)
            )
        )
        for space in (TRAINING, INFERENCE)
    )
)

PRIME = 257


VECTORS = {
    "weight": "a weight",
    "bias": "a bias",
    "running_mean": "a running mean",
    "running_var": "a running variance",
}


def _wrong(case: Case, *, any_eps: bool) -> Iterator[tuple[str, Case]]:
    alone = replace(case, dy=None)  # a backward pass that raises would hide that the forward pass did not
    for field, what in VECTORS.items():
        if (vector := getattr(case, field)) is None:
            continue
        for length in sorted({1, case.channels - 1, case.channels + 1} - {case.channels}):
            changes: dict[str, Any] = {field: np.resize(vector, length)}
            yield f"{what} of {length} for {case.channels} channels", replace(alone, **changes)
    wide = np.concatenate([case.x, case.x[:, :1]], axis=1)
    yield "x of one channel more than the parameters", replace(alone, x=wide)
    yield "x without a channel axis", replace(alone, x=case.x.reshape(-1), layout="contiguous")
    if any_eps:
        yield "a negative eps", replace(alone, eps=-1.0)
    if case.dy is None:
        return
    for what, dy in (
        ("of a single sample", case.dy[:1]),
        ("of more samples than x", np.concatenate([case.dy, case.dy])),
        ("with x's first two axes swapped", np.ascontiguousarray(np.swapaxes(case.dy, 0, 1))),
        ("of x's size and a single axis", case.dy.reshape(-1)),
    ):
        if dy.shape != case.x.shape:
            yield f"a dy {what}", replace(case, dy=dy, dy_layout="contiguous")


def _in_mode(judge: Judge, case: Case, mode: Mode) -> Case:
    return replace(case, training=mode == "training", dy=case.dy if mode in judge.claims.gradients else None)


@requirement("E1", given=FEW_CHANNELS, share=0.2)
def test_wrong_arguments_raise(judge: Judge, case: Case) -> None:
    """Parameters of the wrong length, x without channels, a negative eps and a mismatched dy raise, in each mode."""
    any_eps = judge.claims.any_eps
    modes = [mode for mode in ("training", "inference") if mode in judge.claims.modes]
    for what, wrong in (pair for mode in modes for pair in _wrong(_in_mode(judge, case, mode), any_eps=any_eps)):
        # If only x is wrong, the layer is built for the right case.
        built = replace(case, training=wrong.training, dy=wrong.dy) if wrong.x is not case.x else wrong
        outcome = judge.attempt_steps([built, wrong])[-1]
        judge.refused(outcome, f"{what}, in {'training' if wrong.training else 'inference'}")


ANY_CALL = AnyOf(
    tuple(Cases(replace(space, gradients="where claimed", needs=("own_process",))) for space in (TRAINING, INFERENCE))
)


def _odd(case: Case, layout: Layout, *, empty: bool) -> Iterator[Case]:
    """Yield the case with 0 and 1 samples, 0 and a large prime number of channels, 0 and 1 spatial positions."""
    few_or_none = (0, 1) if empty else (1,)
    base = replace(case, layout=layout, dy_layout=layout)

    def part(index: tuple[Any, ...], **changes: Any) -> Case:
        return replace(base, x=case.x[index], dy=None if case.dy is None else case.dy[index], **changes)

    for samples in few_or_none:
        yield part((slice(samples),))
    for channels in (np.arange(0), np.arange(PRIME) % case.channels):
        vectors = ("weight", "bias", "running_mean", "running_var")
        taken = {name: array[channels] for name in vectors if (array := getattr(case, name)) is not None}
        few = slice(0 if empty and not channels.size else 2)
        yield part((few, channels, *(few for _ in case.x.shape[2:])), **taken)
    if case.x.ndim > 2:
        for positions in few_or_none:
            yield part((..., slice(positions)))


@requirement("E2", given=ANY_CALL, share=0.5)
def test_every_call_comes_back(judge: Judge, case: Case) -> None:
    """In both modes, with odd sizes and with wrong arguments, a call returns or raises."""
    claims = judge.claims
    empty = claims.empty_batches or not case.training
    for one in (case, *_odd(case, claims.plain_layout(case.x.ndim), empty=empty)):
        judge.comes_back([one])
    for _, wrong in _wrong(case, any_eps=claims.any_eps) if claims.checks_arguments else ():
        judge.comes_back([wrong])
        if wrong.x is not case.x:
            judge.comes_back([case, wrong])
