"""What the compiler makes of the kernels, on targets that this machine does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bnconform_adapters.fused_triton.ahead_of_time import CASES, TARGETS

# Kernels that stream x; the others touch per-channel values only.
STREAMING = {
    "training_forward_on_chip": (1, 1),
    "backward_on_chip": (2, 1),
    "partial_statistics": (1, 0),
    "normalize": (1, 1),
    "partial_gradients": (2, 0),
    "input_gradient": (1, 1),
}
# mean, invstd, weight, bias, sum of dy, sum of dy * xhat: loaded once per channel that a thread sees.
VECTORS = 6
THREADS = {"sm_80": 32, "sm_90": 32, "gfx942": 64}
# The largest tiles, and all rounds of merging; the other cases take turns with the targets.
ON_EVERY_TARGET = {"on_chip_half", "on_chip_float", "on_chip_double", "on_chip_wide", "split_long"}
JOBS = {
    (case.name, target)
    for i, case in enumerate(case for case in CASES if case.name not in ON_EVERY_TARGET)
    for target in [list(TARGETS)[i % len(TARGETS)]]
} | set(product(ON_EVERY_TARGET, TARGETS))


@pytest.fixture(scope="module")
def variants() -> list[dict[str, Any]]:
    """The kernel variants of every case, compiled in a process of its own."""
    jobs = [f"{case}@{target}" for case, target in JOBS]
    done = subprocess.run(
        [sys.executable, "-m", "bnconform_adapters.fused_triton.ahead_of_time", *jobs],
        env={**os.environ, "TRITON_INTERPRET": "0"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def label(variant: dict[str, Any]) -> str:
    return f"{variant['case']}/{variant['kernel']}/{variant['target']}"


def test_every_kernel_and_case_compiles(variants: list[dict[str, Any]]) -> None:
    """Nothing is left out, and every kernel of the package is among those of each target."""
    assert {(variant["case"], variant["target"]) for variant in variants} == JOBS
    assert {case for case, _ in JOBS} == {case.name for case in CASES}
    kernels = STREAMING.keys() | {"finalize_statistics", "merge_statistics", "merge_gradients"}
    assert {(variant["kernel"], variant["target"]) for variant in variants} == set(product(kernels, TARGETS))


def test_no_register_is_spilled(variants: list[dict[str, Any]]) -> None:
    """Tiles fit the register file: no local memory, no stack, no scratch."""
    assert [label(variant) for variant in variants if variant["spilled"]] == []


def test_no_atomic_or_reduction_instruction(variants: list[dict[str, Any]]) -> None:
    """The order of every sum is fixed by the program, so results repeat to the bit."""
    assert {label(v): v["forbidden"] for v in variants if v["forbidden"]} == {}


def test_aligned_tensors_are_read_and_written_128_bits_wide(variants: list[dict[str, Any]]) -> None:
    """Whole tiles in the fewest instructions: narrower ones serve per-channel values only."""
    sizes = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
    dtypes = {case.name: case.dtype for case in CASES}
    checked = set()
    for variant in variants:
        if not variant["aligned"] or variant["kernel"] not in STREAMING:
            continue
        reads, writes = STREAMING[variant["kernel"]]
        channels, rows, columns = variant["tile"]
        bytes_per_thread = channels * rows * columns * sizes[dtypes[variant["case"]]] / (
            variant["warps"] * THREADS[variant["target"]]
        )  # fmt: skip
        whole = max(1, int(bytes_per_thread / 16))
        assert variant["loads"].get("128", 0) >= reads * whole, label(variant)
        assert variant["stores"].get("128", 0) >= writes * whole, label(variant)
        narrow = sum(count for width, count in variant["loads"].items() if int(width) < 128)
        assert narrow <= VECTORS * channels, label(variant)
        checked.add((variant["kernel"], variant["target"]))
    assert checked == set(product(STREAMING, TARGETS))


def test_the_checks_find_the_faults_that_they_are_for() -> None:
    """An atomic, narrow loads and a tile too large for the registers are seen on every target."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("faulty_kernels.py"))],
        env={**os.environ, "TRITON_INTERPRET": "0"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    by_kernel = {name: [v for v in found if v["kernel"] == name] for name in {v["kernel"] for v in found}}
    assert {v["target"] for v in by_kernel["atomic"] if v["forbidden"]} == TARGETS.keys()
    assert {v["target"] for v in by_kernel["narrow"] if not v["loads"].get("128")} == TARGETS.keys()
    assert {v["target"] for v in by_kernel["training_forward_on_chip"] if v["spilled"]} == TARGETS.keys()
