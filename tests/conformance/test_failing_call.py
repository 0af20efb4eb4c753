"""The call that failed is on the page, also where a law derived it from the case that was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import judge, replaced, starter

from bnconform.judging.difference import HERE, differences
from bnconform.judging.expected_state import ExpectedState
from bnconform.judging.findings import Broken, Finding, describe_steps, explain
from bnconform.judging.judge import Judge
from bnconform.judging.tally import Tally
from bnconform_adapters.calls import run_steps
from bnconform_adapters.contract import Case, Outcome
from bnconform_adapters.registry import create, find, load

UNCHECKED = (
    (
        "    for parameter in parameters:\n        if parameter is not None and parameter.shape != (x.shape[1],):\n",
        "    for parameter in parameters:\n        if False:\n",
    ),
)
NO_CHANNELS_RAISE = (
    ("    if n == 1:\n", "    if x.shape[1] == 0:\n        raise ValueError('no channels')\n    if n == 1:\n"),
    ('CLAIMS = {"dtypes"', 'CLAIMS = {"zero_channels": "empty", "dtypes"'),
)
INFERENCE_IN_HALF = (
    (
        "    return (xhat * column(weight, x, 1) + column(bias, x, 0)).astype(x.dtype)\n",
        "    return (xhat * column(weight, x, 1) + column(bias, x, 0)).astype(np.float16).astype(x.dtype)\n",
    ),
)


def finding(edits: Sequence[tuple[str, str]], id: str, folder: Path) -> Broken:
    """What a law finds on the starter file with edits."""
    path = folder / "kernel.py"
    path.write_text(replaced(starter(), edits))
    broken, _ = judge(load(str(path)), id, profile="quick")
    assert broken is not None
    return broken


def test_wrong_length_is_shown(tmp_path: Path) -> None:
    """E1 draws a case and calls with one of its vectors cut; the page says which, and how long it was."""
    broken = finding(UNCHECKED, "E1", tmp_path)
    assert broken.finding.call == ("called    with weight f32[1] instead of f32[2]", "          without dy")
    lines = explain(broken.finding, broken.steps, "again").splitlines()
    at = lines.index("  called    with weight f32[1] instead of f32[2]")
    assert lines[at + 2] == "  call      returned for a weight of 1 for 2 channels, in training; it must raise"


def test_call_without_channels_is_shown(tmp_path: Path) -> None:
    """X4 draws a case with channels and calls without."""
    broken = finding(NO_CHANNELS_RAISE, "X4", tmp_path)
    assert broken.steps[0].x.shape == (2, 2)
    assert broken.finding.call[0] == "called    with x f32[2,0] instead of f32[2,2]"
    assert "          with weight f32[0] instead of f32[2]" in broken.finding.call


def test_calls_that_a_law_adds_to_one_case_are_listed(tmp_path: Path) -> None:
    """S8 makes five calls of one drawn case; those up to the failing one are listed, with what was refused."""
    writes = (("    if n == 1:\n        raise", "    if n == 1:\n        running_mean += 1\n        raise"),)
    broken = finding(writes, "S8", tmp_path)
    channels = broken.steps[0].channels
    assert broken.finding.call == (
        "call 1    as drawn",
        "call 2    in inference instead of training",
        f"call 3    with x f32[1,{channels}] instead of f32[3,{channels}]; "
        "raised ValueError: training needs more than one value per channel",
        f"call 4    in inference instead of training; {HERE}",
    )
    assert broken.finding.mode == "inference"


def test_call_that_a_law_adds_to_several_is_listed(tmp_path: Path) -> None:
    """S4 adds inference at the end of the steps drawn; only that call is listed anew."""
    broken = finding(INFERENCE_IN_HALF, "S4", tmp_path)
    count = len(broken.steps)
    assert broken.finding.call[-1].startswith(f"call {count + 1}    as call 1, but in inference instead of training")
    assert broken.finding.call[-1].endswith(HERE)
    assert len(broken.finding.call) == 1


def test_drawn_call_has_no_lines(tmp_path: Path) -> None:
    """A finding about the case as it is shown says nothing of the call."""
    broken = finding(((" * (n / (n - 1))", ""),), "S1", tmp_path)
    assert (broken.finding.call, broken.finding.marks, broken.finding.mode) == ((), (), "training")


def case(**changed: Any) -> Case:
    """A small case."""
    arrays = {"x": np.array([[0.25, 2], [1, -3]], np.float32), "weight": np.array([1.5, 2], np.float32)}
    return Case(**(arrays | changed))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"weight": np.array([1.5, 2], np.float32)}, []),
        ({"weight": None}, ["without weight"]),
        ({"bias": np.array([1, 2], np.float32)}, ["with bias f32[2] [1, 2]"]),
        ({"weight": np.array([1.5], np.float32)}, ["with weight f32[1] instead of f32[2]"]),
        ({"weight": np.array([1.5, -2], np.float32)}, ["with other values of weight: f32[2] [1.5, -2]"]),
        ({"training": False}, ["in inference instead of training"]),
        ({"eps": 0.5}, ["with eps 0.5 instead of 1e-05"]),
        ({"momentum": None}, ["with momentum None instead of 0.1"]),
        ({"wanted": "dx"}, []),
        ({"read_only": True}, ["with arrays that cannot be written"]),
        ({"layout": "sliced"}, []),
    ],
    ids=str,
)
def test_differences_are_in_words(changed: dict[str, Any], told: list[str]) -> None:
    """Each difference is a phrase; memory layouts have their own place in a finding's problem."""
    assert differences(case(**changed), case()) == told


def test_long_arrays_are_not_dumped() -> None:
    """Other values of long arrays are named together."""
    x = np.ones((20, 2), np.float32)
    assert differences(case(x=-x, dy=x), case(x=x, dy=-x)) == ["with other values of x and dy"]


NARROW = Case(
    np.array([[0.25], [1.0]]),
    weight=np.array([2.0]),
    bias=np.array([0.5]),
    running_mean=np.zeros(1),
    running_var=np.ones(1),
)
WIDE = replace(NARROW, x=np.array([[0.25, 2.0], [1.0, -3.0]]))


def test_history_marks_what_was_taken_and_what_was_refused() -> None:
    """A call that must be refused is marked: as taken, with the reason, or as refused; so is the failing one."""
    adapter = create(find("reference"))
    found = Judge(adapter, adapter.claims, "S11", Tally())
    steps = (NARROW, WIDE, replace(WIDE, training=False), replace(NARROW, before="load"))
    found.begin(())
    expected_state, right = ExpectedState(found, NARROW), run_steps(adapter, [NARROW])[0]
    taken = Outcome(y=WIDE.x, running_mean=np.zeros(2), running_var=np.ones(2))
    wrong = replace(right, y=np.zeros((2, 1)))
    outcomes = iter([right, Outcome(error="ValueError: no"), taken, wrong])
    for step in steps[:-1]:
        expected_state.enter(step, found.extend(step, lambda case: next(outcomes)))
    last = found.extend(steps[-1], lambda case: next(outcomes))
    with pytest.raises(Broken) as broken:
        expected_state.enter(steps[-1], last)
    assert broken.value.finding.marks == (
        "",
        "was refused",
        "was accepted, and must be refused: it has 2 channels; the layer has 1",
        HERE,
    )
    lines = describe_steps(broken.value.steps, broken.value.finding.marks)
    heads = [line for line in lines if line.startswith("call 3")]
    assert heads == [
        "call 3    f64[2,2] inference, eps 1e-05: was accepted, and must be refused: it has 2 channels; the layer has 1"
    ]


def test_one_of_several_calls_that_are_apart_is_marked() -> None:
    """Shards are calls of one step, not one after the other: the one that is wrong is marked among those drawn."""
    adapter = create(find("reference"))
    found = Judge(adapter, adapter.claims, "Y1", Tally())
    steps = (NARROW, replace(NARROW, x=NARROW.x + 1))
    found.begin(steps)
    outcomes = found.shards(steps)
    with pytest.raises(Broken) as broken:
        found.same_bits("y", outcomes[1].y, outcomes[0].y, "in two shards")
    assert broken.value.finding.marks == ("", HERE)
    assert broken.value.finding.call == ()


def test_other_call_of_a_comparison_is_shown() -> None:
    """Where two calls are compared and the other one is not drawn, a line says what it had otherwise."""
    adapter = create(find("reference"))
    found = Judge(adapter, adapter.claims, "F8", Tally())
    found.begin((NARROW,))
    first, second = found.run(NARROW), found.run(replace(NARROW, momentum=0.5, x=8 * NARROW.x))
    with pytest.raises(Broken) as broken:
        found.same_bits("y", first.y, second.y, "for two momenta")
    beside = "beside    a call with momentum 0.5 instead of 0.1, with other values of x: f64[2,1] [[2], [8]]"
    assert broken.value.finding.call == (beside,)


def test_finding_is_read_back_from_its_data() -> None:
    """A record's lists are tuples again; a finding from a record without these fields has none of the lines."""
    whole = Finding("F1", "kernel.py", "y", "is off", (0, 1), mode="training", call=("called",), marks=("", "here"))
    data = asdict(whole) | {"index": [0, 1], "call": ["called"], "marks": ["", "here"]}
    assert Finding.from_data(data) == whole
    older = {name: value for name, value in data.items() if name not in ("mode", "call", "marks")}
    assert Finding.from_data(older) == replace(whole, mode="", call=(), marks=())
