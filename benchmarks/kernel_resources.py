"""Write what the fused kernel takes on real GPUs, as far as a machine without one can tell.

    python benchmarks/kernel_resources.py

compiles every kernel variant of ``bnconform_adapters.fused_triton.ahead_of_time.CASES`` for three
targets, counts the bytes that each pass moves in Triton's interpreter, and writes
``fused_kernel_resources.json`` and ``fused_kernel_resources.md`` beside this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bnconform_adapters.fused_triton import launch, plan
from bnconform_adapters.fused_triton.traffic import PASSES, transfers

HERE = Path(__file__).parent


def compiled() -> list[dict[str, Any]]:
    """Resources of every variant on every target, compiled in a process that does not interpret."""
    module = "bnconform_adapters.fused_triton.ahead_of_time"
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-m", module], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def moved() -> list[dict[str, Any]]:
    """Counted transfers of every pass, with the tiles of a GPU, beside the fewest possible."""
    launch.BUDGET = plan.COMPILED
    return [
        {
            "pass": work.name,
            "on_chip": work.on_chip,
            "dtype": dtype,
            "channels_last": channels_last,
            "minimum": work.minimum,
            "counted": round(counted, 3),
            "bytes_per_element": round(counted * size, 2),
        }
        for work in PASSES
        for dtype, size in (("float16", 2), ("float32", 4))
        for channels_last in (False, True)
        if not (work.on_chip and channels_last)  # such long channels do not fit there
        for counted in [transfers(work, dtype, channels_last=channels_last)]
    ]


def page(kernels: list[dict[str, Any]], passes: list[dict[str, Any]]) -> str:
    """Both tables in Markdown."""
    lines = [
        "# What the fused kernel takes",
        "",
        f"Written by `benchmarks/kernel_resources.py` with Triton {version('triton')}; nothing here ran on a GPU. "
        "The tests in `tests/fused_triton/` check the same facts.",
        "",
        "## Bytes moved",
        "",
        "Counted in the interpreter: loads and stores of lanes whose mask is on, in units of the bytes of x. What "
        "exceeds the whole number is per-channel vectors and partial results, which do not grow with x.",
        "",
        "| pass | channels on chip | layout | dtype | transfers at least | counted | bytes per element |",
        "| - | - | - | - | -: | -: | -: |",
    ]
    lines += [
        f"| {row['pass']} | {'yes' if row['on_chip'] else 'no'} | {'NHWC' if row['channels_last'] else 'NCHW'} "
        f"| {row['dtype']} | {row['minimum']} | {row['counted']:.3f} | {row['bytes_per_element']:.2f} |"
        for row in passes
    ]
    lines += [
        "",
        "## Registers, memory and instructions",
        "",
        "Per thread and program. Spilled counts bytes of stack and local memory; loads and stores count instructions "
        "that touch global memory, as `width in bits x count`. No kernel contains an atomic or reduction instruction.",
        "",
        "| case | kernel | tile (C, rows, columns) | warps | target | registers | spilled | shared | loads | stores |",
        "| - | - | - | -: | - | -: | -: | -: | - | - |",
    ]
    lines += [
        f"| {row['case']} | `{row['kernel']}` | {' x '.join(map(str, row['tile']))} | {row['warps']} "
        f"| {row['target']} | {row['registers']} | {row['spilled']} | {row['shared']} "
        f"| {widths(row['loads'])} | {widths(row['stores'])} |"
        for row in kernels
    ]
    return "\n".join(lines) + "\n"


def widths(counts: dict[str, int]) -> str:
    """128x8, 32x4: widest first."""
    return ", ".join(f"{width}x{counts[width]}" for width in sorted(counts, key=int, reverse=True))


def main() -> None:
    """Write both files."""
    kernels, passes = compiled(), moved()
    rows = ",\n".join(json.dumps(row) for row in kernels)
    counts = ",\n".join(json.dumps(row) for row in passes)
    (HERE / "fused_kernel_resources.json").write_text(
        f'{{"triton": "{version("triton")}",\n"passes": [\n{counts}\n],\n"kernels": [\n{rows}\n]}}\n',
        encoding="utf-8",
    )
    (HERE / "fused_kernel_resources.md").write_text(page(kernels, passes), encoding="utf-8")


if __name__ == "__main__":
    main()
