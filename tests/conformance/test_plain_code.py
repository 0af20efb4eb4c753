"""The plain code that scripts are made of gives what the adapters give, bit for bit: each is a check of the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import alone, names_here, run_apart, starter

from bnconform.build import build
from bnconform.case_file import same
from bnconform.recipe import Recipe
from bnconform.script import PARTS
from bnconform_adapters import plain
from bnconform_adapters.calls import forward_passes, jvp, quiet, run_steps, second_order, shards
from bnconform_adapters.contract import Adapter, Case, Outcome
from bnconform_adapters.registry import create, find, load

OUTPUTS = ("y", "running_mean", "running_var", "dx", "dweight", "dbias", "ddy", "y_tangent")
NEEDS = {"numpy": "numpy", "torch": "torch", "jax": "jax", "module": "torch", "kernelbench": "torch"}
FOREIGN = Path(__file__).parent / "foreign"
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


SPLIT_FIRST = {"keras.tensorflow"}
"""Whose framework has to be told to have several devices before anything uses it, as other tests here may."""


@pytest.mark.parametrize("name", HERE)
def test_shards_give_the_same_bits(name: str) -> None:
    """Steps over several devices have the adapter's bits."""
    if name in SPLIT_FIRST and not alone():
        run_apart(name, f"{__file__}::test_shards_give_the_same_bits")
        return
    adapter, module = implementation(name)
    for split in adapter.claims.shards:
        for case in cases(adapter)[:2]:
            assert case.dy is not None
            n = {"equal": len(case.x), "unequal": 1, "empty": 0}[split]
            steps = [case, replace(case, x=-2 * case.x[:n], dy=case.dy[:n] + 1)]
            with quiet():
                results = module.shards(*steps)
            for outcome, found in zip(shards(adapter, steps), results, strict=True):
                assert_same(outcome, found)


def top_level(module: str) -> tuple[list[str], list[str]]:
    """Names that a module of the plain code defines, and its neighbours that it imports from."""
    body = ast.parse(plain.text(module)).body
    neighbours = [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    defined += [ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)]
    own = "bnconform_adapters.plain."
    return defined, [name.removeprefix(own) for name in neighbours if name.startswith(own)]


CALLED = ("Layer", "second_order", "jvp", "shards")
"""What a script calls of the subject's own module, which is taken in last; a neighbour's is then of no use."""


@pytest.mark.parametrize("module", [*plain.MODULES.values(), *plain.CANDIDATES])
def test_names_are_defined_once(module: str) -> None:
    """A script takes in what it needs of several modules, and none hides a name of another, but for what it calls."""
    home: dict[str, str] = {}
    waiting, seen = [module, *PARTS], set[str]()
    while waiting:
        if (one := waiting.pop()) not in seen:
            seen.add(one)
            defined, neighbours = top_level(one)
            waiting += neighbours
            assert [(name, home[name], one) for name in defined if name in home] == []
            home |= {name: one for name in defined if one != module or name not in CALLED}


FORMS = {
    "numpy": "candidate_numpy",
    "torch": "candidate_torch",
    "jax": "candidate_jax",
    "module": "candidate_module",
    "kernelbench": "candidate_kernelbench",
}
SWITCHES = """
import torch


class Norm(torch.nn.Module):
    def __init__(self, channels, *, affine=True, eps=1e-5):
        super().__init__()
        self.inner = torch.nn.BatchNorm2d(channels, eps=eps, momentum=0.25, affine=affine)

    def forward(self, x):
        return self.inner(x)
"""
WEIGHS_OLD = """
import torch

CLAIMS = {"momentum_weighs": "old"}


class Norm(torch.nn.BatchNorm2d):
    def __init__(self, num_features, momentum=0.9, **keywords):
        super().__init__(num_features, momentum=1 - momentum, **keywords)
"""


@contextmanager
def candidate(spec: str) -> Iterator[tuple[Adapter, Any]]:
    """The adapter of a file, and the plain code that scripts on it are made of."""
    from bnconform_adapters.plain import kernel_file

    adapter: Any = load(spec)
    kept = kernel_file.SPEC
    module = import_module(f"bnconform_adapters.plain.{adapter.plain_code}")
    cached = [kernel_file.kernel_file, *([module.device] if hasattr(module, "device") else [])]
    kernel_file.SPEC = spec
    try:
        for function in cached:
            function.cache_clear()
        yield adapter, module
    finally:
        kernel_file.SPEC = kept
        for function in cached:
            function.cache_clear()


def assert_same_calls(adapter: Adapter, module: Any, steps: list[Case]) -> None:
    """Calls of one layer give the same bits, and share the same memory."""
    from bnconform_adapters.plain.calling import run_restarting

    with quiet():
        results = run_restarting(module.Layer, *steps)
    for outcome, found in zip(run_steps(adapter, steps), results, strict=True):
        assert_same(outcome, found)
        assert set(outcome.shared) == set(found.get("shares", ()))
        assert set(outcome.overrun) == set(found.get("overrun", ()))


def restarts(case: Case) -> list[Case]:
    """A call, one after other parameters were loaded, one after a reset, and one more."""
    other = replace(case, running_mean=case.running_mean + 1, bias=case.bias - 1, before="load")
    initial = {"running_mean": np.zeros_like(case.running_mean), "running_var": np.ones_like(case.running_var)}
    return [case, other, case, replace(case, **initial, before="reset"), case]


@pytest.mark.parametrize("changes", [{}, {"read_only": True}, {"statistics_layout": "sliced"}], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_starter_gives_the_same_bits(form: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """The starter file of each form, called by the plain code, gives what it gives as a candidate."""
    pytest.importorskip(NEEDS[form])
    path = tmp_path / "kernel.py"
    path.write_text(starter(form))
    with candidate(str(path)) as (adapter, module):
        assert module.__name__.endswith(f".{FORMS[form]}")
        for case in cases(adapter, cotangents="all"):
            steps = [case, replace(case, training=False), case, replace(case, wanted="dx dbias")]
            assert_same_calls(adapter, module, [replace(one, **changes) for one in steps])
        assert_same_calls(adapter, module, restarts(replace(cases(adapter)[0], dy=None)))


@pytest.mark.parametrize("form", FORMS)
def test_starter_refuses_the_same(form: str, tmp_path: Path) -> None:
    """What the starter of each form refuses is refused through the plain code, with the same kind of error."""
    pytest.importorskip(NEEDS[form])
    path = tmp_path / "kernel.py"
    path.write_text(starter(form))
    with candidate(str(path)) as (adapter, module):
        case = cases(adapter)[0]
        wide = replace(case, x=np.concatenate([case.x, case.x[:, :1]], axis=1), dy=None)
        short = replace(case, weight=case.weight[:1], dy=None)
        flat = replace(case, dy=case.dy.reshape(-1), dy_layout="contiguous")
        for steps in ([case, wide, case], [short, short], [flat], [replace(case, running_var=case.running_var[:1])]):
            assert_same_calls(adapter, module, steps)
            assert any(outcome.error for outcome in run_steps(adapter, steps))


def test_interleaved_calls_that_are_refused(tmp_path: Path) -> None:
    """A forward pass that raises among several of one layer is an exception of its own call, as the adapter has it."""
    from bnconform_adapters.plain.calling import interleave

    path, order = tmp_path / "kernel.py", (1, 2, 0, 2)
    path.write_text(starter())
    with candidate(str(path)) as (adapter, module):
        case = cases(adapter)[0]
        short = replace(case, weight=case.weight[:1])
        for steps in ([case, replace(case, eps=-1.0), replace(case, dy=2 * case.dy)], [short, short, short]):
            finishes = forward_passes(adapter, steps)
            for found, i in zip(interleave(module.Layer, steps, order), order, strict=True):
                assert_same(finishes[i](), found)


@pytest.mark.parametrize("form", ["jax", "module"])
@pytest.mark.parametrize("cotangents", ["all", "ddx"])
def test_starter_has_the_same_derivatives(form: str, cotangents: str, tmp_path: Path) -> None:
    """Second-order gradients and forward mode of a starter that has them have the adapter's bits."""
    pytest.importorskip(NEEDS[form])
    path = tmp_path / "kernel.py"
    path.write_text(starter(form))
    with candidate(str(path)) as (adapter, module):
        assert adapter.claims.forward_mode
        for mode in adapter.claims.forward_mode:
            for case in cases(adapter, cotangents=cotangents, training=mode == "training"):
                assert_same(jvp(adapter, case), module.jvp(case))
                if mode in adapter.claims.second_order:
                    assert_same(second_order(adapter, case), module.second_order(case))


@pytest.mark.parametrize("form", ["numpy", "torch", "jax"])
def test_double_backward_gives_the_same_bits(form: str, tmp_path: Path) -> None:
    """What double_backward of a file returns comes back from the plain code with its bits."""
    pytest.importorskip(NEEDS[form])
    path = tmp_path / "kernel.py"
    added = (
        "\n\ndef double_backward(ddx, ddweight, ddbias, dy, saved):\n    return dy + ddx, ddx * 2, ddweight + ddbias\n"
    )
    path.write_text(starter(form) + added)
    with candidate(str(path)) as (adapter, module):
        for case in cases(adapter, cotangents="ddx"):
            assert_same(second_order(adapter, case), module.second_order(case))


@pytest.mark.parametrize(
    ("text", "name"),
    [(SWITCHES, "Norm"), (WEIGHS_OLD, ""), ((FOREIGN / "autograd_function.py").read_text(), "")],
    ids=["submodule", "weighs_old", "own_names"],
)
def test_modules_of_all_kinds_give_the_same_bits(text: str, name: str, tmp_path: Path) -> None:
    """Submodules, names of STATE, constructors that take some arguments, and the other sense of momentum."""
    pytest.importorskip("torch")
    path = tmp_path / "kernel.py"
    path.write_text(text)
    with candidate(f"{path}:{name}" if name else str(path)) as (adapter, module):
        for parameters in adapter.claims.parameters:
            for dtype in ("float32", "float64"):
                recipe = Recipe(SHAPES[4], dtype=dtype, dy="random", momentum=0.25, parameters=parameters)
                case = replace(build(recipe), layout="sliced")
                assert_same_calls(adapter, module, [case, replace(case, training=False), case])
        assert_same_calls(adapter, module, restarts(build(Recipe(SHAPES[4], momentum=0.25))))
