"""G: gradients."""

from dataclasses import replace

import numpy as np

from bnconform.judge import GRADIENTS, Judge
from bnconform.law import requirement
from bnconform.oracle import Quantity
from bnconform.spaces import INFERENCE_GRADIENTS, TRAINING_GRADIENTS, Space
from bnconform.strategies import AnyOf, Cases
from bnconform_adapters.contract import AnyArray, Case

ALL_DY = replace(TRAINING_GRADIENTS, dys=("random", "expanded", "large"))


@requirement("G1", given=Cases(ALL_DY))
def test_dx_flows_through_both_statistics(judge: Judge, case: Case) -> None:
    """dx = weight * invstd * (dy - mean(dy) - xhat * mean(dy * xhat)) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dx"])


@requirement("G2", given=Cases(replace(ALL_DY, parameters=("both", "weight"))))
def test_dweight_sums_dy_times_xhat(judge: Judge, case: Case) -> None:
    """dweight = sum(dy * xhat) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dweight"])


@requirement("G3", given=Cases(replace(ALL_DY, parameters=("both", "bias"))))
def test_dbias_sums_dy(judge: Judge, case: Case) -> None:
    """dbias = sum(dy) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dbias"])


@requirement("G4", given=Cases(replace(INFERENCE_GRADIENTS, dys=("random", "expanded", "large"))))
def test_inference_gradients_treat_statistics_as_constants(judge: Judge, case: Case) -> None:
    """In inference dx = weight * invstd * dy, with dweight and dbias as ever."""
    judge.agrees(case, judge.run(case), GRADIENTS)


def _linear(space: Space) -> Cases:
    return Cases(replace(space, parameters=("both", "weight")))


@requirement("G6", given=AnyOf((_linear(TRAINING_GRADIENTS), _linear(INFERENCE_GRADIENTS))))
def test_gradients_are_linear_in_dy(judge: Judge, case: Case) -> None:
    """dy = 0 gives exact zeros; 2 dy gives twice the gradients; weight = 0 stops dx and leaves dweight right."""
    assert case.dy is not None
    assert case.weight is not None
    still = judge.run(replace(case, dy=np.zeros_like(case.dy)))
    for name in GRADIENTS:
        _zeros(judge, name, getattr(still, name), "where dy is 0")
    once, double = judge.run(case), replace(case, dy=case.dy * 2)
    twice = judge.run(double)
    expected, expected_twice = judge.expect(case), judge.agrees(double, twice, GRADIENTS)
    for name in GRADIENTS:
        if name in expected:
            allowed = 2 * expected[name].allowed + expected_twice[name].allowed
            judge.close(name, getattr(twice, name), Quantity(2 * getattr(once, name).astype(np.float64), allowed))
    dead = replace(case, weight=np.zeros_like(case.weight))
    outcome = judge.run(dead)
    _zeros(judge, "dx", outcome.dx, "where weight is 0")
    judge.agrees(dead, outcome, ["dweight", "dbias"])


def _zeros(judge: Judge, name: str, array: AnyArray | None, where: str) -> None:
    if array is not None and (array != 0).any():
        index = tuple(int(i) for i in np.argwhere(array != 0)[0])
        judge.broken(name, f"is {array[index]!s} at {list(index)} {where}; it must be 0")
