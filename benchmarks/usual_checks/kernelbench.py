"""The rule of KernelBench: forward in training mode, a few random inputs, ``torch.allclose`` with one tolerance.

As `run_and_check_correctness` in its `src/eval.py` has it
(https://github.com/ScalingIntelligence/KernelBench/blob/main/src/eval.py): seed 42 gives a seed for each trial,
`get_inputs` gives x, and y of the two models is compared; neither backward, nor inference, nor the running statistics
are looked at. The tolerance for float32, absolute and relative, was 1e-2 in versions 0 and 0.1, and is 1e-4 since
(`get_tolerance_for_precision`). The problem is `level1/33_BatchNorm.py`: a new `BatchNorm2d(64)` on `torch.rand`.
"""

from __future__ import annotations

from functools import cache

import torch

from bnconform_adapters.contract import Adapter, Case
from usual_checks.against_torch import dtype_for, first_difference

SEED, TRIALS = 42, 5
SHAPE = (16, 64, 64, 64)
"""Of x. The problem has had (16, 64, 256, 256) and then (64, 64, 512, 512); the zoo's batch norms are NumPy, and would
take minutes for one of those. A channel still has 65,536 values."""


@cache
def inputs() -> list[torch.Tensor]:
    """x of every trial."""
    torch.manual_seed(SEED)
    seeds = [int(torch.randint(0, 2**32 - 1, (1,)).item()) for _ in range(TRIALS)]
    return [torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


def caught(adapter: Adapter, tolerance: float) -> str:
    """What the rule finds, at a tolerance; empty where it passes."""
    dtype = dtype_for(adapter)
    zeros, ones = torch.zeros(SHAPE[1], dtype=dtype).numpy(), torch.ones(SHAPE[1], dtype=dtype).numpy()
    new = {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones}
    cases = [Case(x=x.to(dtype).numpy(), **new) for x in inputs()]

    def same(given: torch.Tensor, value: torch.Tensor) -> bool:
        return torch.allclose(value, given, atol=tolerance, rtol=tolerance)

    return first_difference(adapter, cases, same, only=("y",))
