"""Statistics of shards and their merge, for synchronised batch norm.

The split kernels already compute them: per channel the count, the mean and the sum of squared
deviations from the mean. Chan's formula merges shards of any sizes to the statistics of the whole batch.
Sums of x and of x^2 are not exchanged, since their difference cancels if the mean is large.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from . import kernels_statistics as kernels
from .launch import Operand, accumulator, merge_tile, merged_at_once, shape, sizes, streaming_grid, wide
from .layout import ChannelView, viewable
from .plan import ceil_div
from .runtime import launch, tl


class ChannelStatistics(NamedTuple):
    """Count, mean and sum of squared deviations, with shape (C,), or (P, C) for P partial results.

    The dtype is float32, or float64 for float64 data.
    """

    count: torch.Tensor
    mean: torch.Tensor
    m2: torch.Tensor

    @property
    def values_per_channel(self) -> int:
        """The count, which all channels share; 0 without channels."""
        return int(self.count.flatten()[0]) if self.count.numel() else 0


def channel_statistics(x: torch.Tensor) -> ChannelStatistics:
    """Compute the statistics of each channel of a shard.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, \\*spatial), float16, bfloat16, float32 or float64. For an empty x all three
        statistics are 0.

    Returns
    -------
    ChannelStatistics
        Three tensors of shape (C,).
    """
    if x.numel() == 0:
        zeros = torch.zeros(3, x.shape[1], dtype=accumulator(x)[0], device=x.device)
        return ChannelStatistics(*zeros.unbind())
    x, view, _, _ = viewable(x)
    return merge_channel_statistics(partial_statistics(x, view))


def merge_channel_statistics(partials: ChannelStatistics) -> ChannelStatistics:
    """Compute the statistics of the union of P shards, in a fixed order of operations.

    Parameters
    ----------
    partials : ChannelStatistics
        Statistics of each shard, shape (P, C), float32 or float64; a count of 0 marks an empty shard.

    Returns
    -------
    ChannelStatistics
        Three tensors of shape (C,).
    """
    partials = reduce_partials(partials, to_one=True)
    return ChannelStatistics(*(t[0] for t in partials))


def partial_statistics(x: torch.Tensor, view: ChannelView) -> ChannelStatistics:
    """Compute the statistics of each split, shape (P, C); P depends only on the shape of x."""
    dtype, acc = accumulator(x)
    operand = Operand(x, view)
    tile, grid = streaming_grid(x, view, merge=True)
    partials = torch.empty(3, grid.splits, view.channels, dtype=dtype, device=x.device)
    count, mean, m2 = partials.unbind()
    launch(
        kernels.partial_statistics, grid.programs, tile.warps, x.device,
        x_ptr=x, count_ptr=count, mean_ptr=mean, m2_ptr=m2, x_strides=operand.strides, sizes=sizes(view),
        channel_blocks=grid.channel_blocks, splits=grid.splits, TILES=grid.tiles_per_program,
        CHANNELS_LAST=view.channels_last, ACC=acc, WIDE=wide(tile, operand), TILE=shape(tile),
    )  # fmt: skip
    return ChannelStatistics(count, mean, m2)


def reduce_partials(partials: ChannelStatistics, *, to_one: bool = False) -> ChannelStatistics:
    """Merge groups of partial results, in rounds, until one program can merge the rest; or ``to_one`` result."""
    while partials.count.shape[0] > 1 if to_one else not merged_at_once(partials.count.shape[0]):
        rows, channels = partials.count.shape
        block, length = merge_tile(rows, channels)
        groups, channel_blocks = ceil_div(rows, length), ceil_div(channels, block)
        count, mean, m2 = (t.contiguous() for t in partials)
        out = ChannelStatistics(*torch.empty(3, groups, channels, dtype=count.dtype, device=count.device).unbind())
        launch(
            kernels.merge_statistics, groups * channel_blocks, 4, count.device,
            count_ptr=count, mean_ptr=mean, m2_ptr=m2,
            out_count_ptr=out.count, out_mean_ptr=out.mean, out_m2_ptr=out.m2,
            partials=rows, channels=channels, channel_blocks=channel_blocks,
            ACC=tl.float64 if count.dtype == torch.float64 else tl.float32, BC=block, BP=length,
        )  # fmt: skip
        partials = out
    return partials
