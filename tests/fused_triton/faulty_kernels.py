"""Kernels with the faults that the compile checks look for; a process of its own prints what was read of them.

Without it nobody would notice checks that can find nothing.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict

import torch

from bnconform_adapters.fused_triton import ahead_of_time, launch
from bnconform_adapters.fused_triton.runtime import Launch, kernel, tl


@kernel
def atomic(x_ptr, out_ptr, TILE: tl.constexpr):
    """Sums in the order in which programs happen to arrive."""
    value = tl.load(x_ptr + tl.program_id(0) * TILE[2] + tl.arange(0, TILE[2]))
    tl.atomic_add(out_ptr, tl.reduce(value, 0, tl.standard._sum_combine))


@kernel
def narrow(x_ptr, y_ptr, stride, TILE: tl.constexpr):
    """Reads with a stride that nobody knows."""
    offsets = tl.arange(0, TILE[2])
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets * stride))


def read(function: object, target: str, **arguments: object) -> dict[str, object]:
    tile = {"TILE": (1, 1, 1024)}
    case = ahead_of_time.Case("probe", (1, 1), "float32")
    caught = Launch(function, 1, 4, {**arguments, **tile})
    source, options, _ = ahead_of_time._source(caught, target)
    return asdict(ahead_of_time._compiled(case, caught, source, options, target))


if __name__ == "__main__":
    x, y = (torch.empty(4096, device="meta") for _ in range(2))
    for target in ahead_of_time.TARGETS:
        print(json.dumps(read(atomic, target, x_ptr=x, out_ptr=y)))
        print(json.dumps(read(narrow, target, x_ptr=x, y_ptr=y, stride=3)))
    launch.BUDGET = dataclasses.replace(launch.BUDGET, on_chip=65536)
    for target in ahead_of_time.TARGETS:
        huge = ahead_of_time.Case("huge", (256, 8, 14, 16), "float32")
        print(json.dumps(asdict(next(ahead_of_time.resources((huge,), target)))))
