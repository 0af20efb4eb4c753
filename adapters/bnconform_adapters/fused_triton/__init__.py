"""A batch norm in Triton: fused, deterministic, and testable without a GPU.

``FusedBatchNorm`` replaces ``torch.nn.BatchNorm1d/2d/3d`` and ``fused_batch_norm`` replaces
``torch.nn.functional.batch_norm``; both can add a residual and apply ReLU in the same pass.
On a machine without a GPU the kernels run in Triton's interpreter.

Importing this package does not import torch or triton; the first use of an attribute does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .function import fused_batch_norm
    from .module import FusedBatchNorm
    from .runtime import interpreted
    from .statistics import ChannelStatistics, channel_statistics, merge_channel_statistics
    from .sync_module import (
        FusedSyncBatchNorm,
        normalize_shard,
        shard_gradient_sums,
        shard_input_gradient,
    )

__all__ = [
    "ChannelStatistics",
    "FusedBatchNorm",
    "FusedSyncBatchNorm",
    "channel_statistics",
    "fused_batch_norm",
    "interpreted",
    "merge_channel_statistics",
    "normalize_shard",
    "shard_gradient_sums",
    "shard_input_gradient",
]

_HOME = {
    "ChannelStatistics": "statistics",
    "FusedBatchNorm": "module",
    "FusedSyncBatchNorm": "sync_module",
    "channel_statistics": "statistics",
    "fused_batch_norm": "function",
    "interpreted": "runtime",
    "merge_channel_statistics": "statistics",
    "normalize_shard": "sync_module",
    "shard_gradient_sums": "sync_module",
    "shard_input_gradient": "sync_module",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
