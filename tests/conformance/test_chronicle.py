"""The recurrence that a layer's calls are held against, where a call should have raised and did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnconform.chronicle import Chronicle
from bnconform.findings import Broken
from bnconform.judge import Judge
from bnconform.tally import Tally
from bnconform_adapters.calls import run
from bnconform_adapters.contract import Case, Outcome
from bnconform_adapters.registry import load

ONE = np.ones(1, np.float32)
X = np.array([[1.0], [4.0]], np.float32)
CASE = Case(X, weight=ONE, bias=ONE, running_mean=ONE, running_var=ONE, training=False)
WIDE = replace(CASE, x=np.array([[1.0, 2.0], [4.0, 3.0]], np.float32))


def chronicle() -> Chronicle:
    """Of a layer of one channel."""
    judge = Judge(load("reference"), load("reference").claims, "S11", Tally())
    judge.begin((CASE,))
    return Chronicle(judge, CASE)


def wrong(outcome: Outcome) -> Outcome:
    """The same with y moved."""
    assert outcome.y is not None
    return replace(outcome, y=outcome.y + 1)


@pytest.mark.parametrize("size", [1, 2])
def test_call_that_should_have_raised_is_survived(size: int) -> None:
    """After two channels were taken for one, twice, calls are judged again if the statistics are still of one."""
    told, broadcast = chronicle(), np.ones(size, np.float32)
    for _ in range(2):
        told.enter(WIDE, Outcome(y=WIDE.x, running_mean=broadcast, running_var=broadcast))
    told.enter(CASE, run(load("reference"), CASE))
    if size == CASE.channels:
        with pytest.raises(Broken):
            told.enter(CASE, wrong(run(load("reference"), CASE)))
        return
    told.enter(CASE, wrong(run(load("reference"), CASE)))  # nobody can say


def test_loading_makes_a_lost_layer_known_again() -> None:
    """Statistics of another size are gone with the next that are loaded."""
    told, two = chronicle(), np.ones(2, np.float32)
    told.enter(WIDE, Outcome(y=WIDE.x, running_mean=two, running_var=two))
    loaded = replace(CASE, before="load")
    with pytest.raises(Broken):
        told.enter(loaded, wrong(run(load("reference"), CASE)))
