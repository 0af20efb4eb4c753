"""Y: a batch in shards on several devices."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import TRAINING
from bnconform.cases.strategies import Shards
from bnconform.judging.expression import added, concatenated, shown
from bnconform.judging.judge import STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Expected, Quantity, expect
from bnconform_adapters.contract import AnyArray, Case, Outcome, dtype_name
from bnconform_reference.precision import UNIT_ROUNDOFF

SHARDS = replace(TRAINING, needs=("shards",))


@requirement("Y1", given=Shards(SHARDS), share=0.5)
def test_y_of_shards(judge: Judge, *shards: Case) -> None:
    """Shards of any sizes, also empty ones, get their rows of the whole batch's y."""
    expected = _expected(judge, shards)
    _put_together(judge, "y", _step(judge, shards), expected["y"])


@requirement("Y2", given=Shards(replace(SHARDS, gradients=True)), share=0.5)
def test_gradients_of_shards(judge: Judge, *shards: Case) -> None:
    """The shards' dx is the whole batch's, and the sums of the devices' dweight and dbias are, too."""
    outcomes, expected = _step(judge, shards), _expected(judge, shards)
    _put_together(judge, "dx", outcomes, expected["dx"])
    for name in ("dweight", "dbias"):
        if name in expected:
            _added_up(judge, name, outcomes, expected[name])


@requirement("Y3", given=Shards(SHARDS), share=0.5)
def test_statistics_of_shards(judge: Judge, *shards: Case) -> None:
    """Every device's running statistics move by the whole batch's mean and variance, not by its own shard's."""
    expected = _expected(judge, shards)
    for outcome in _step(judge, shards):
        for name in STATISTICS:
            judge.close(name, getattr(outcome, name), expected[name])


def whole(shards: Sequence[Case]) -> Case:
    """Return the batch that the shards form."""
    dys = [shard.dy for shard in shards if shard.dy is not None]
    together = np.concatenate(dys) if dys else None
    return replace(shards[0], x=np.concatenate([shard.x for shard in shards]), dy=together)


def _expected(judge: Judge, shards: Sequence[Case]) -> Expected:
    return expect(whole(shards), judge.claims, shards=[shard.values_per_channel for shard in shards])


def _step(judge: Judge, shards: Sequence[Case]) -> list[Outcome]:
    """Run a step on the shards, and check that each device's inputs are unchanged."""
    outcomes = judge.shards(shards)
    for case, outcome in zip(shards, outcomes, strict=True):
        judge.left_alone(case, outcome, "step")
    return outcomes


def _put_together(judge: Judge, name: str, outcomes: Sequence[Outcome], quantity: Quantity) -> None:
    parts = _parts(judge, name, outcomes)
    judge.close(name, np.concatenate(parts), quantity, got=concatenated(parts))


def _added_up(judge: Judge, name: str, outcomes: Sequence[Outcome], quantity: Quantity) -> None:
    """Judge a sum of parts; each part and the sum here may be rounded once more than one sum over the batch."""
    parts = _parts(judge, name, outcomes)
    exact = sum((part.astype(np.float64) for part in parts), np.zeros(parts[0].shape))
    rounding = UNIT_ROUNDOFF[dtype_name(parts[0])]
    sizes = sum((np.abs(part.astype(np.float64)) for part in parts), np.abs(exact))
    allowed = quantity.allowed + rounding * np.where(np.isfinite(sizes), sizes, 0.0)
    total = added([shown(part).wide for part in parts]).as_type_of(parts[0])
    judge.close(name, exact.astype(parts[0].dtype), Quantity(quantity.value, allowed), got=total)


def _parts(judge: Judge, name: str, outcomes: Sequence[Outcome]) -> list[AnyArray]:
    parts = [getattr(outcome, name) for outcome in outcomes]
    if any(part is None for part in parts):
        judge.missing(name)
    return parts
