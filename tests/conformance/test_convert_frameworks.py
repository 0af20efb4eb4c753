"""Statistics of a torch layer, converted, are those of another framework's layer trained on the same batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnconform.judging.oracle import expect
from bnconform_adapters.calls import run_steps
from bnconform_adapters.contract import Adapter, AnyArray, Case, Outcome
from bnconform_adapters.registry import create, find
from bnconform_reference import convert_statistics

WEIGHT, EPS, STEPS = 0.1, 1e-5, 4
STATISTICS = ("running_mean", "running_var")
SHAPES = {"flax.linen": (5, 3), "keras.tensorflow": (3, 3, 2, 2)}


def adapter(name: str) -> Adapter:
    """A bundled adapter, where its framework is installed."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}")
    return create(find(name))


def cases(shape: tuple[int, ...]) -> list[Case]:
    """Batches of a new layer's training, in float64."""
    rng = np.random.default_rng(7)
    parameters = {"weight": np.array([0.5, -2.0, 1.5]), "bias": np.array([1.0, 0.0, -3.0])}
    statistics = {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    xs = [3 * rng.standard_normal(shape) + 2 for _ in range(STEPS)]
    return [Case(x=x, **parameters, **statistics, momentum=WEIGHT, eps=EPS) for x in xs]


def chain_bound(trained: Adapter, steps: list[Case], outcomes: list[Outcome], name: str) -> AnyArray:
    """Allowed error of a statistic after several steps: each step's own; it passes on with a weight below 1."""
    total = np.zeros(3)
    before = {key: getattr(steps[0], key) for key in STATISTICS}
    for case, outcome in zip(steps, outcomes, strict=True):
        total = total + expect(replace(case, **before), trained.claims)[name].allowed
        before = {key: getattr(outcome, key) for key in STATISTICS}
    return total


@pytest.mark.parametrize("name", SHAPES)
def test_converted_torch_layer_is_the_other_frameworks_own(name: str) -> None:
    """Converted running statistics are the target's own moved averages, and inference by them gives its y."""
    source, target = adapter("torch"), adapter(name)
    steps = cases(SHAPES[name])
    theirs, own = run_steps(source, steps), run_steps(target, steps)
    last = theirs[-1]
    assert last.running_mean is not None
    assert last.running_var is not None
    found = convert_statistics(
        last.running_mean,
        last.running_var,
        source=source.claims.dialect,
        target=target.claims.dialect,
        momentum=WEIGHT,
        eps=EPS,
        n=steps[0].values_per_channel,
        steps=STEPS,
    )
    assert found.momentum == 1 - WEIGHT
    assert found.exact
    for key in STATISTICS:
        # The conversion itself is a step more: its roundings are those of one.
        allowed = chain_bound(source, steps, theirs, key) + chain_bound(target, steps, own, key)
        allowed = allowed + expect(steps[-1], target.claims)[key].allowed
        assert (np.abs(getattr(found, key) - getattr(own[-1], key)) <= allowed).all(), key
        unconverted = np.abs(getattr(last, key) - getattr(own[-1], key))
        assert key == "running_mean" or (unconverted > allowed).all()
    inference = replace(steps[0], training=False)
    loaded = replace(inference, running_mean=found.running_mean, running_var=found.running_var)
    by_own = replace(inference, running_mean=own[-1].running_mean, running_var=own[-1].running_var)
    first, second = (run_steps(target, [case])[0].y for case in (loaded, by_own))
    assert first is not None
    assert second is not None
    # Each y is within its allowed error of the oracle's, whose own difference is that of the statistics.
    quantities = [expect(case, target.claims)["y"] for case in (loaded, by_own)]
    values = [np.asarray(q.value.hi if hasattr(q.value, "hi") else q.value) for q in quantities]
    allowed = np.abs(values[0] - values[1]) + quantities[0].allowed + quantities[1].allowed
    assert (np.abs(first - second) <= allowed).all()
