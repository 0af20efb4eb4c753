"""A unit test as projects write it: one random float32 input, both modes, statistics and gradients beside PyTorch's."""

from __future__ import annotations

import numpy as np
import torch

from bnconform_adapters.contract import Adapter, Case
from usual_checks.against_torch import dtype_for, first_difference

SEED = 0
SHAPE = (4, 3, 5, 5)
RTOL, ATOL = 1e-4, 1e-5


def caught(adapter: Adapter) -> str:
    """What the test finds: a training step with backward, then inference of the same layer; empty where it passes."""
    generator, dtype = torch.Generator().manual_seed(SEED), dtype_for(adapter)
    shape = SHAPE[: max(rank for rank in adapter.claims.ranks if rank <= len(SHAPE))]
    channels = SHAPE[1]

    def drawn(*shape: int) -> np.ndarray:
        return torch.randn(shape, generator=generator).to(dtype).numpy()

    training = Case(
        x=drawn(*shape),
        dy=drawn(*shape) if "training" in adapter.claims.gradients else None,
        weight=drawn(channels),
        bias=drawn(channels),
        running_mean=torch.zeros(channels, dtype=dtype).numpy(),
        running_var=torch.ones(channels, dtype=dtype).numpy(),
    )
    inference = Case(**{**vars(training), "training": False, "dy": None})

    def same(given: torch.Tensor, value: torch.Tensor) -> bool:
        return torch.allclose(given, value, rtol=RTOL, atol=ATOL)

    return first_difference(adapter, [training, inference], same)
