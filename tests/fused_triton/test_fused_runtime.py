"""The process around the kernels: imports, environment, configuration."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

from bnconform_adapters.fused_triton import plan
from bnconform_adapters.fused_triton.benchmark import main
from bnconform_reference.precision import Precision


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter without the variables that choose how kernels run."""
    inherited = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def test_importing_the_package_is_light() -> None:
    """Collecting and listing must not pay for torch and triton."""
    done = python("import sys, bnconform_adapters.fused_triton as f; print({'torch', 'triton'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr


RUN = """
import torch
from bnconform_adapters.fused_triton import FusedBatchNorm, interpreted
y = FusedBatchNorm(3)(torch.arange(12.0, device='cpu' if interpreted else 'cuda').view(4, 3))
print(interpreted, round(y[0, 0].item(), 3))
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
@pytest.mark.parametrize("before", ["", "import triton, triton.language, torch._inductor"], ids=repr)
def test_no_gpu_means_interpreter_whoever_imported_triton_first(before: str) -> None:
    """Nothing needs to be set, and a process that already has Triton is neither refused nor changed."""
    untouched = """
import os, triton
assert 'TRITON_INTERPRET' not in os.environ
assert not triton.knobs.runtime.interpret
"""
    done = python(before + RUN + untouched)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "-1.342"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_compiled_kernels_refuse_cpu_tensors() -> None:
    """TRITON_INTERPRET=0 means compile; the refusal says how to change that."""
    done = python(RUN.replace("'cuda'", "'cpu'"), TRITON_INTERPRET="0")
    assert done.stderr.strip().splitlines()[-1] == (
        "ValueError: x is on cpu, but the kernels are compiled for a GPU in this process: pass a CUDA tensor, or "
        "set TRITON_INTERPRET=1 before the first use of fused_triton"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_benchmark_without_a_gpu_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and one line."""
    assert main() == 2
    assert capsys.readouterr() == ("", "bnconform bench kernel needs a GPU: torch finds none on this machine\n")


SIZES = [(1, 3, 1), (1, 130, 4096), (32, 64, 12544), (256, 2048, 49), (7, 3, 1000003), (10**6, 5, 3)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("budget", [plan.COMPILED, plan.INTERPRETED], ids=["compiled", "interpreted"])
def test_tiles_cover_the_problem_within_budget(sizes: tuple[int, int, int], itemsize: int, budget: plan.Budget) -> None:
    """Powers of two, no larger than a program can hold, and enough of them."""
    rows, channels, columns = sizes
    for channels_last in (False, True):
        if channels_last:
            rows, columns = 1, sizes[0] * sizes[2]
        options = {"itemsize": itemsize, "channels_last": channels_last, "budget": budget}
        tile = plan.streaming_tile(rows, channels, columns, **options)
        grid = plan.lay(tile, rows, channels, columns, merge=True, budget=budget)
        size = tile.channels * tile.rows * tile.columns
        assert size & (size - 1) == 0
        assert size <= budget.tile // (2 if itemsize == 8 else 1)
        assert grid.channel_blocks * tile.channels >= channels
        assert grid.splits * grid.tiles_per_program >= grid.tiles
        assert (grid.splits - 1) * grid.tiles_per_program < grid.tiles, "a program without a tile"
        held = plan.on_chip_tile(rows, channels, columns, **options)
        if held is not None:
            assert held.rows >= rows
            assert held.columns >= columns
            assert held.channels * held.rows * held.columns <= max(budget.on_chip, budget.group)


def test_both_budgets_choose_the_same_kernels() -> None:
    """What the interpreter tests is what a GPU runs: only tile sizes differ."""
    for rows, columns, channels_last in ((64, 256, False), (65, 256, False), (1, 512, True), (1, 4096, True)):
        options = {"itemsize": 2, "channels_last": channels_last}
        tiles = [
            plan.on_chip_tile(rows, 64, columns, **options, budget=budget)
            for budget in (plan.COMPILED, plan.INTERPRETED)
        ]
        assert (tiles[0] is None) == (tiles[1] is None)
    assert dataclasses.astuple(plan.COMPILED)[:2] == dataclasses.astuple(plan.INTERPRETED)[:2]


def pairwise_height(length: int) -> int:
    """Additions that a value passes in NumPy's pairwise sum of a power of two of them."""
    if length < 8:
        return length - 1
    return min(length, 128) // 8 + 2 + max(0, length.bit_length() - 8)


@pytest.mark.parametrize("budget", [plan.COMPILED, plan.INTERPRETED], ids=["compiled", "interpreted"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("channels", [1, 64, 2048])
def test_summation_tree_is_as_low_as_the_grade_says(channels: int, channels_last: bool, budget: plan.Budget) -> None:
    """Tile, tiles in a row and rounds of merging together stay within the height that grade T assumes.

    Each merge of a tile is one addition to the mean, each round of merging one tree; a GPU's trees are binary.
    """
    precision = Precision.for_dtype("float32", "TW")
    tree = pairwise_height if budget is plan.INTERPRETED else lambda length: length.bit_length() - 1
    for rows, columns in ((1, 20000), (64, 784), (32, 12544), (256, 50176), (1, 10**8), (10**6, 300), (1, 2**31)):
        if channels_last:
            rows, columns = 1, rows * columns
        tile = plan.streaming_tile(rows, channels, columns, itemsize=4, channels_last=channels_last, budget=budget)
        grid = plan.lay(tile, rows, channels, columns, merge=True, budget=budget)
        height = tree(tile.columns) + tree(tile.rows) + grid.tiles_per_program - 1
        partials = grid.splits
        while partials > 1:
            _, length = plan.merge_tile(partials, channels, budget=budget)
            height += tree(length)
            partials = plan.ceil_div(partials, length)
        assert height <= precision.sum_height(rows * columns), (rows, columns, height)
