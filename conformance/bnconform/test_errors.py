"""E: errors."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bnconform.judge import Judge
from bnconform.law import requirement
from bnconform.spaces import TRAINING
from bnconform.strategies import Cases
from bnconform_adapters.contract import AnyArray, Case

FEW_CHANNELS = replace(TRAINING, kinds=("small",), gradients="where claimed", parameters=("both",))


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
