"""The plain code that scripts are made of gives what the adapters give, bit for bit: each is a check of the other."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from suite_runs import names_apart, names_here, run_apart

from bnconform.build import build
from bnconform.case_file import same
from bnconform.recipe import Recipe
from bnconform_adapters import plain
from bnconform_adapters.calls import jvp, quiet, run_steps, second_order
from bnconform_adapters.contract import Adapter, Case, Outcome
from bnconform_adapters.registry import create, find, load

OUTPUTS = ("y", "running_mean", "running_var", "dx", "dweight", "dbias", "ddy", "y_tangent")
SHAPES = {2: (5, 3), 3: (4, 3, 2), 4: (3, 2, 3, 2), 5: (2, 3, 2, 1, 2)}
"""Of few sizes, since some implementations compile for each."""


def implementation(name: str) -> tuple[Adapter, Any]:
    """An adapter and the plain code of the same implementation."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")
    with quiet():
        return create(find(name)), import_module(f"bnconform_adapters.plain.{plain.MODULES[name]}")


def cases(adapter: Adapter, **changes: Any) -> list[Case]:
    """Cases of every dtype and layout that an implementation claims; training, where it does."""
    claims = adapter.claims
    changes = {"training": "training" in claims.modes} | changes
    gradients = ("training" if changes["training"] else "inference") in claims.gradients
    found = []
    for i, dtype in enumerate(claims.dtypes):
        for j, layout in enumerate(claims.layouts):
            rank = claims.ranks[(i + j) % len(claims.ranks)]
            if claims.cost == "interpreted" and (i + j) % 3:
                continue
            recipe = Recipe(
                SHAPES[rank],
                dtype=dtype,
                dy="random" if gradients else "absent",
                layout="contiguous" if layout == "expanded" else layout,
                salt=j,
            )
            found.append(build(replace(recipe, parameters=claims.parameters[0], **changes)))
    return found


def assert_same(outcome: Outcome, results: dict[str, Any]) -> None:
    """Outputs are equal bit for bit, and exceptions are of one type."""
    assert results.get("error", "").partition(":")[0] == (outcome.error or "").partition(":")[0]
    for name in OUTPUTS:
        assert same(results.get(name), getattr(outcome, name)), name
    if outcome.error is None:
        for name, array in outcome.inputs_after.items():
            assert same(results[f"{name} after"], array), f"{name} after"


HERE = names_here(plain.MODULES)


@pytest.mark.parametrize("name", names_apart(plain.MODULES))
def test_implementations_of_their_own_process(name: str) -> None:
    """What does not get along with the others is held against its plain code in a process of its own."""
    run_apart(__file__, name)


@pytest.mark.parametrize("name", HERE)
def test_calls_give_the_same_bits(name: str) -> None:
    """Training, training again and inference of one layer have the adapter's bits, state included."""
    from bnconform_adapters.plain.calling import run

    adapter, module = implementation(name)
    for case in cases(adapter):
        inference = replace(case, training=False, dy=case.dy if "inference" in adapter.claims.gradients else None)
        steps = [case, replace(case, dy=None), inference]
        with quiet():
            results = run(module.Layer, *steps)
        for outcome, found in zip(run_steps(adapter, steps), results, strict=True):
            assert_same(outcome, found)


@pytest.mark.parametrize("name", HERE)
def test_restarts_give_the_same_bits(name: str) -> None:
    """Loading and resetting a layer between calls leaves what the adapter leaves."""
    from bnconform_adapters.plain.calling import run_restarting

    adapter, module = implementation(name)
    case = replace(cases(adapter)[0], dy=None)
    other = replace(case, running_mean=case.running_mean + 1, bias=case.bias - 1, before="load")
    initial = {"running_mean": np.zeros_like(case.running_mean), "running_var": np.ones_like(case.running_var)}
    steps = [case, other, case, replace(case, **initial, before="reset"), case]
    with quiet():
        results = run_restarting(module.Layer, *steps)
    for outcome, found in zip(run_steps(adapter, steps), results, strict=True):
        assert_same(outcome, found)


@pytest.mark.parametrize("name", HERE)
def test_refused_calls_raise_the_same(name: str) -> None:
    """A call that the adapter's implementation refuses is refused by the plain code, with the same kind of error."""
    from bnconform_adapters.plain.calling import run

    adapter, module = implementation(name)
    case = replace(cases(adapter)[0], dy=None)
    wide = replace(case, x=np.concatenate([case.x, case.x[:, :1]], axis=1))
    short = replace(case, weight=case.weight[:1])
    for steps in ([case, wide, case], [short, short]):
        with quiet():
            results = run(module.Layer, *steps)
        for outcome, found in zip(run_steps(adapter, steps), results, strict=True):
            assert_same(outcome, found)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("cotangents", ["all", "ddx"])
def test_derivatives_give_the_same_bits(name: str, cotangents: str) -> None:
    """Second-order gradients and forward mode have the adapter's bits."""
    adapter, module = implementation(name)
    for mode in adapter.claims.second_order:
        for case in cases(adapter, cotangents=cotangents, training=mode == "training")[:2]:
            with quiet():
                found = module.second_order(case)
            assert_same(second_order(adapter, case), found)
            if mode in adapter.claims.forward_mode:
                with quiet():
                    found = module.jvp(case)
                assert_same(jvp(adapter, case), found)


@pytest.mark.parametrize("changes", [{}, {"read_only": True}, {"statistics_layout": "sliced"}])
def test_functions_of_a_file_give_the_same_bits(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter file, called by the plain code, gives what it gives as a candidate."""
    from bnconform import __file__ as here
    from bnconform_adapters.plain import candidate_functions
    from bnconform_adapters.plain.calling import run

    path = here.replace("__init__.py", "starters/numpy_functions.py")
    monkeypatch.setattr(candidate_functions, "SPEC", path)
    candidate_functions.functions.cache_clear()
    adapter = load(path)
    for case in cases(adapter, cotangents="all"):
        steps = [replace(one, **changes) for one in (case, replace(case, training=False), case)]
        for outcome, found in zip(run_steps(adapter, steps), run(candidate_functions.Layer, *steps), strict=True):
            assert_same(outcome, found)
            assert list(outcome.shared) == found["shares"]
