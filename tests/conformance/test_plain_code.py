"""Plain code run by a script finds in a file what the suite found, and runs layers as the suite does."""

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
from suite_runs import starter

from bnconform.cases.build import build
from bnconform.cases.case_file import same
from bnconform.cases.recipe import Recipe
from bnconform.scripts.writer import PARTS
from bnconform_adapters import plain
from bnconform_adapters.calls import forward_passes, quiet, run_steps
from bnconform_adapters.contract import Adapter, Case, Outcome
from bnconform_adapters.registry import REGISTRY, load

OUTPUTS = ("y", "running_mean", "running_var", "dx", "dweight", "dbias", "ddy", "y_tangent")
NEEDS = {"numpy": "numpy", "class": "numpy", "torch": "torch", "jax": "jax", "module": "torch", "kernelbench": "torch"}
FOREIGN = Path(__file__).parent / "foreign"
SHAPES = {2: (5, 3), 3: (4, 3, 2), 4: (3, 2, 3, 2), 5: (2, 3, 2, 1, 2)}
"""Of few sizes, since some implementations compile for each."""


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


def top_level(module: str) -> tuple[list[str], list[str]]:
    """Names that a module of the plain code defines, and its neighbours that it imports from."""
    body = ast.parse(plain.text(module)).body
    neighbours = [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    defined += [ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)]
    return defined, [own for name in neighbours if (own := plain.module_of(name))]


CALLED = ("Layer", "second_order", "jvp", "shards", "defaults")
"""Names of the subject's own module, which is taken in last; a neighbour's is then of no use."""


@pytest.mark.parametrize("module", [*{entry.module: 0 for entry in REGISTRY}, *plain.CANDIDATES])
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
    "numpy": "plain.candidate_numpy",
    "class": "plain.candidate_class_numpy",
    "torch": "plain.candidate_torch",
    "jax": "plain.candidate_jax",
    "module": "plain.candidate_module",
    "kernelbench": "plain.candidate_kernelbench",
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
    kept, kernel_file.SPEC = kernel_file.SPEC, spec
    kernel_file.kernel_file.cache_clear()
    try:
        yield adapter, import_module(f"bnconform_adapters.{adapter.plain_code}")
    finally:
        kernel_file.SPEC = kept
        kernel_file.kernel_file.cache_clear()


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
