"""Code shared by the forward and backward launchers: operands, dtypes and offset widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from . import plan
from .layout import ChannelView
from .plan import Budget, Grid, Tile
from .runtime import interpreted, tl

BUDGET: Budget = plan.INTERPRETED if interpreted else plan.COMPILED
"""Limits on the work of one program in this process."""

Strides = tuple[int, int, int]
NO_STRIDES: Strides = (0, 0, 0)


@dataclass(frozen=True)
class Settings:
    """Settings of a call besides its tensors.

    Attributes
    ----------
    training : bool
        Whether to normalise with the batch's own statistics.
    momentum : float
        Weight of the new batch in the running statistics.
    eps : float
        Added to the variance inside the root.
    relu : bool
        Whether to apply ReLU, after the residual if any.
    """

    training: bool
    momentum: float
    eps: float
    relu: bool


@dataclass(frozen=True)
class Operand:
    """A tensor with its view; both are None for an absent operand."""

    tensor: torch.Tensor | None = None
    view: ChannelView | None = None

    @property
    def strides(self) -> Strides:
        """Strides over channels, rows and columns."""
        if self.view is None:
            return NO_STRIDES
        return self.view.channel_stride, self.view.row_stride, self.view.column_stride


ABSENT = Operand()


def accumulator(x: torch.Tensor) -> tuple[torch.dtype, Any]:
    """Return the dtype of the statistics of ``x``, for torch and for Triton."""
    if x.dtype == torch.float64:
        return torch.float64, tl.float64
    return torch.float32, tl.float32


def sizes(view: ChannelView) -> tuple[int, int, int]:
    """Return channels, rows and columns of a view."""
    return view.channels, view.rows, view.columns


def shape(tile: Tile) -> tuple[int, int, int]:
    """Return channels, rows and columns of a tile."""
    return tile.channels, tile.rows, tile.columns


def wide(tile: Tile, *operands: Operand) -> bool:
    """Return True if offsets within a tile need 64 bits; the tile's base always has 64."""
    return any(
        sum((length - 1) * stride for length, stride in zip(shape(tile), operand.strides, strict=True)) >= 2**31
        for operand in operands
    )


def vector_stride(t: torch.Tensor | None) -> int:
    """Return the stride of a per-channel tensor, since buffers and parameters are used without a copy."""
    return t.stride(0) if t is not None else 0


def on_chip_tile(x: torch.Tensor, view: ChannelView) -> Tile | None:
    """Call `plan.on_chip_tile` for a tensor."""
    return plan.on_chip_tile(
        view.rows, view.channels, view.columns,
        itemsize=x.element_size(), channels_last=view.channels_last, budget=BUDGET,
    )  # fmt: skip


def streaming_grid(x: torch.Tensor, view: ChannelView, *, merge: bool) -> tuple[Tile, Grid]:
    """Return `plan.streaming_tile` for a tensor, and its grid."""
    problem = (view.rows, view.channels, view.columns)
    tile = plan.streaming_tile(*problem, itemsize=x.element_size(), channels_last=view.channels_last, budget=BUDGET)
    return tile, plan.lay(tile, *problem, merge=merge, budget=BUDGET)


def merge_tile(partials: int, channels: int) -> tuple[int, int]:
    """Call `plan.merge_tile` with the budget of this process."""
    return plan.merge_tile(partials, channels, budget=BUDGET)


def merged_at_once(partials: int) -> bool:
    """Return True if one program can merge this number of partial results."""
    return partials <= BUDGET.merge
