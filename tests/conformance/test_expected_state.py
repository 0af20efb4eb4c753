"""The state that a layer should have, where calls were made that should have been refused or leave none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnconform.judging.expected_state import ExpectedState
from bnconform.judging.findings import Broken
from bnconform.judging.judge import Judge
from bnconform.judging.tally import Tally
from bnconform_adapters.calls import run_steps
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case, Outcome
from bnconform_adapters.registry import create, find
from bnconform_reference.dialect import PADDLE

NARROW = Case(
    np.array([[0.25], [1.0]]),
    weight=np.array([2.0]),
    bias=np.array([0.5]),
    running_mean=np.zeros(1),
    running_var=np.ones(1),
)
WIDE = replace(NARROW, x=np.array([[0.25, 2.0], [1.0, -3.0]]))
ONE = replace(NARROW, x=np.array([[3.0]]))


def judge(**claims: object) -> Judge:
    """A judge of the project's own layer, in the middle of an example."""
    adapter = create(find("reference"))
    found = Judge(adapter, replace(adapter.claims, **claims), "S11", Tally())  # type: ignore[arg-type]
    found.begin((NARROW,))
    return found


def test_accepted_channels_end_the_history_until_something_is_loaded() -> None:
    """A layer that took two channels for one is not judged by statistics that no oracle has; a loaded one is again."""
    expected_state = ExpectedState(judge(), NARROW)
    two = np.array([0.5, 0.5])
    for case in (WIDE, WIDE, NARROW):
        expected_state.enter(case, Outcome(y=case.x, running_mean=two, running_var=two))
    loaded = replace(NARROW, before="load")
    with pytest.raises(Broken):
        expected_state.enter(loaded, Outcome(y=loaded.x, running_mean=two[:1], running_var=two[:1]))


@pytest.mark.parametrize("counted", [False, True], ids=["not counted", "counted"])
def test_correct_average_is_not_blamed_after_a_call_that_had_to_be_refused(counted: bool) -> None:
    """Whether an average counts a batch of one value that it took is nobody's law: what follows is not judged."""
    found, count, mean = judge(), 0, 0.0
    expected_state = ExpectedState(found, replace(NARROW, momentum=None))
    batches = [np.array([[0.25], [1.0]]), np.array([[3.0]]), np.array([[0.5], [1.5]])]
    for x in batches:
        if x.size > 1 or counted:
            count, mean = count + 1, mean + (float(x.mean()) - mean) / (count + 1)
        case = replace(NARROW, x=x, momentum=None)
        (right,) = run_steps(found.adapter, [case]) if x.size > 1 else [Outcome(y=x, running_var=np.ones(1))]
        expected_state.enter(case, replace(right, running_mean=np.array([mean])))
    found.end()
    assert found.tally.mistrusted == 1


def test_average_is_judged_up_to_the_call_that_had_to_be_refused() -> None:
    """A wrong average is found in the steps before."""
    found = judge()
    expected_state = ExpectedState(found, replace(NARROW, momentum=None))
    outcome = run_steps(found.adapter, [replace(NARROW, momentum=None)])[0]
    assert outcome.running_mean is not None
    with pytest.raises(Broken):
        expected_state.enter(replace(NARROW, momentum=None), replace(outcome, running_mean=outcome.running_mean + 1))


def test_exception_after_a_call_that_had_to_be_refused_is_not_judged() -> None:
    """What a layer raises once it has taken two channels for one follows from that, also where something is loaded."""
    expected_state = ExpectedState(judge(), NARROW)
    two = np.array([0.5, 0.5])
    expected_state.enter(WIDE, Outcome(y=WIDE.x, running_mean=two, running_var=two))
    expected_state.enter(NARROW, Outcome(error="ValueError: cannot reshape array of size 4 into shape (1,2)"))
    expected_state.enter(replace(NARROW, before="load"), Outcome(error="ValueError: cannot reshape"))
    with pytest.raises(Broken):
        ExpectedState(judge(), NARROW).enter(
            replace(NARROW, before="load"), Outcome(error="ValueError: cannot reshape")
        )


def test_a_value_that_is_handed_on_leaves_the_state() -> None:
    """Where the dialect hands a single value on, y is x and the statistics stay; bias alone would be wrong."""
    claims: dict[str, Claims | object] = {"dialect": PADDLE}
    kept = {"running_mean": ONE.running_mean, "running_var": ONE.running_var}
    ExpectedState(judge(**claims), ONE).enter(ONE, Outcome(y=ONE.x, **kept))
    with pytest.raises(Broken):
        ExpectedState(judge(**claims), ONE).enter(ONE, Outcome(y=np.array([[0.5]]), **kept))
    with pytest.raises(Broken):
        ExpectedState(judge(**claims), ONE).enter(ONE, Outcome(y=ONE.x, **kept | {"running_mean": np.ones(1)}))


def test_an_ordinary_history_is_judged() -> None:
    """The project's own layer follows the recurrence, refused calls in between."""
    steps = [NARROW, WIDE, NARROW, replace(NARROW, training=False)]
    found = judge()
    expected_state = ExpectedState(found, NARROW)
    for case, outcome in zip(steps, run_steps(found.adapter, steps), strict=True):
        expected_state.enter(case, outcome)
