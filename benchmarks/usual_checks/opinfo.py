"""PyTorch's own samples of batch norm, as its tests of operators draw them, at its own tolerance.

The shapes and arguments are those of `sample_inputs_batch_norm` in
`torch/testing/_internal/common_methods_invocations.py`, the values those of :func:`torch.testing.make_tensor`, the
comparison is :func:`torch.testing.assert_close` with its defaults. Of each sample y, the statistics and the gradients
are compared, in float32 and in float64. The two samples of shape (0,) are left out: no channel axis, no batch norm.
Some samples have a negative momentum, which a batch norm may refuse: that counts for nothing. The last one has no
statistics, and is for those that claim to work without.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.testing import assert_close, make_tensor

from bnconform_adapters.contract import Adapter, Case
from usual_checks.against_torch import RAISED, first_difference

SEED = 0
S = 5
CASES: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((S, S, S), {"training": True, "momentum": 0.5, "eps": 0.6}),
    ((3, 2, 4), {"training": False, "momentum": -1.2}),
    ((3, 1), {"training": True, "momentum": 0.0}),
    ((3, 2, 3, 4), {"training": True, "momentum": -1.0, "eps": 0.5}),
    ((3, 2, 3, 4), {"training": False, "momentum": -1.0, "eps": 0.5}),
    ((2, 1), {}),
)
"""Shape of x and keyword arguments, in PyTorch's order."""
AGAIN = (True, False, False)
"""`training` of the samples that follow, on the last shape."""
BARE = (1, 2, 3)
"""Shape of the last sample: training without parameters and statistics."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def samples(dtype: torch.dtype) -> Iterator[Case]:
    """The samples, as cases; momentum and eps not given are PyTorch's defaults."""
    torch.manual_seed(SEED)

    def made(*shape: int, **limits: float) -> np.ndarray:
        return make_tensor(shape, dtype=dtype, device="cpu", **limits).numpy()

    def sample(shape: tuple[int, ...], training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Case:
        per_channel = {"weight": made(shape[1]), "bias": made(shape[1])}
        per_channel |= {name: made(shape[1], low=0) for name in ("running_mean", "running_var")}
        return Case(x=made(*shape), dy=made(*shape), training=training, momentum=momentum, eps=eps, **per_channel)

    for shape, arguments in CASES:
        yield sample(shape, **arguments)
    for training in AGAIN:
        yield sample(CASES[-1][0], training)
    yield Case(x=made(*BARE), dy=made(*BARE))


def caught(adapter: Adapter) -> str:
    """What the samples show; empty where all pass."""
    for dtype in [name for name in DTYPES if name in adapter.claims.dtypes]:
        for number, case in enumerate(samples(DTYPES[dtype]), 1):
            if case.running_mean is None and not adapter.claims.untracked:
                continue
            found = first_difference(adapter, [_asked(case, adapter)], _same)
            refused = RAISED in found and not 0 <= (case.momentum or 0) <= 1
            if found and not refused:
                return f"{dtype} sample {number}, {found}"
    return ""


def _asked(case: Case, adapter: Adapter) -> Case:
    """The case, without dy where gradients are not offered."""
    mode = "training" if case.training else "inference"
    return case if mode in adapter.claims.gradients else Case(**{**vars(case), "dy": None})


def _same(given: torch.Tensor, value: torch.Tensor) -> bool:
    try:
        assert_close(given, value)
    except AssertionError:
        return False
    return True
