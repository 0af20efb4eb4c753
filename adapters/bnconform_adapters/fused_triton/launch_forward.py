"""Launch the kernels of forward passes."""

from __future__ import annotations

from typing import NamedTuple

import torch

from . import kernels_forward, kernels_statistics
from .launch import (
    ABSENT,
    Operand,
    Settings,
    accumulator,
    merge_tile,
    on_chip_tile,
    shape,
    sizes,
    streaming_grid,
    vector_stride,
    wide,
)
from .layout import in_layout_of, viewable
from .plan import ceil_div
from .runtime import float_bits, launch
from .statistics import partial_statistics, reduce_partials


class Vectors(NamedTuple):
    """Optional per-channel tensors of shape (C,) with any stride."""

    weight: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    running_mean: torch.Tensor | None = None
    running_var: torch.Tensor | None = None

    @property
    def affine_strides(self) -> tuple[int, int]:
        """Strides of weight and bias."""
        return vector_stride(self.weight), vector_stride(self.bias)

    @property
    def running_strides(self) -> tuple[int, int]:
        """Strides of the running statistics."""
        return vector_stride(self.running_mean), vector_stride(self.running_var)


class Forward(NamedTuple):
    """Result of a forward pass: y, and on request the statistics that it used, shape (C,)."""

    y: torch.Tensor
    mean: torch.Tensor | None
    invstd: torch.Tensor | None


def training_forward(x: torch.Tensor, vectors: Vectors, residual: torch.Tensor | None, settings: Settings) -> Forward:
    """Normalise with the batch's statistics and blend them into the running ones, in place.

    If a channel's values fit on chip, one kernel reads x once. Otherwise kernels compute statistics per
    split, merge them and normalise: x is read twice.
    """
    x, view, y, y_view = viewable(x)
    source, target = Operand(x, view), Operand(y, y_view)
    added = ABSENT if residual is None else Operand(*in_layout_of(residual, y, y_view))
    dtype, acc = accumulator(x)
    mean, invstd = torch.empty(2, view.channels, dtype=dtype, device=x.device).unbind()
    blending = {
        "eps_bits": float_bits(settings.eps),
        "momentum_bits": float_bits(settings.momentum),
        "kept_bits": float_bits(1.0 - settings.momentum),
    }
    tile = on_chip_tile(x, view)
    if tile is not None:
        launch(
            kernels_forward.training_forward_on_chip,
            ceil_div(view.channels, tile.channels), tile.warps, x.device,
            x_ptr=x, y_ptr=y, residual_ptr=added.tensor, weight_ptr=vectors.weight, bias_ptr=vectors.bias,
            running_mean_ptr=vectors.running_mean, running_var_ptr=vectors.running_var,
            mean_ptr=mean, invstd_ptr=invstd, x_strides=source.strides, y_strides=target.strides,
            residual_strides=added.strides, affine_strides=vectors.affine_strides,
            running_strides=vectors.running_strides, sizes=sizes(view), **blending,
            RELU=settings.relu, ACC=acc, WIDE=wide(tile, source, target, added), TILE=shape(tile),
        )  # fmt: skip
        return Forward(y, mean, invstd)
    partials = reduce_partials(partial_statistics(x, view))
    block, length = merge_tile(partials.count.shape[0], view.channels)
    launch(
        kernels_statistics.finalize_statistics, ceil_div(view.channels, block), 4, x.device,
        count_ptr=partials.count, partial_mean_ptr=partials.mean, m2_ptr=partials.m2,
        mean_ptr=mean, invstd_ptr=invstd,
        running_mean_ptr=vectors.running_mean, running_var_ptr=vectors.running_var,
        running_strides=vectors.running_strides, partials=partials.count.shape[0], channels=view.channels,
        values_per_channel=view.values_per_channel, **blending, ACC=acc, BC=block, BP=length,
    )  # fmt: skip
    _normalize(source, target, added, vectors, mean, invstd, ABSENT_PAIR, settings, variance=False)
    return Forward(y, mean, invstd)


def inference_forward(
    x: torch.Tensor, vectors: Vectors, residual: torch.Tensor | None, settings: Settings, *, save: bool
) -> Forward:
    """Normalise with the running statistics; with ``save``, also return the mean and invstd used.

    They are copies, because a training step may overwrite the buffers before the backward pass.
    """
    x, view, y, y_view = viewable(x)
    added = ABSENT if residual is None else Operand(*in_layout_of(residual, y, y_view))
    saved: tuple[torch.Tensor | None, torch.Tensor | None] = ABSENT_PAIR
    if save:
        saved = torch.empty(2, view.channels, dtype=accumulator(x)[0], device=x.device).unbind()
    assert vectors.running_mean is not None
    assert vectors.running_var is not None
    _normalize(
        Operand(x, view), Operand(y, y_view), added, vectors, vectors.running_mean, vectors.running_var,
        saved, settings, variance=True,
    )  # fmt: skip
    return Forward(y, *saved)


ABSENT_PAIR = (None, None)


def _normalize(
    source: Operand, target: Operand, added: Operand, vectors: Vectors,
    mean: torch.Tensor, spread: torch.Tensor, saved: tuple[torch.Tensor | None, torch.Tensor | None],
    settings: Settings, *, variance: bool,
) -> None:  # fmt: skip
    x, view = source.tensor, source.view
    assert x is not None
    assert view is not None
    tile, grid = streaming_grid(x, view, merge=False)
    launch(
        kernels_forward.normalize, grid.programs, tile.warps, x.device,
        x_ptr=x, y_ptr=target.tensor, residual_ptr=added.tensor,
        weight_ptr=vectors.weight, bias_ptr=vectors.bias, mean_ptr=mean, spread_ptr=spread,
        saved_mean_ptr=saved[0], saved_invstd_ptr=saved[1],
        x_strides=source.strides, y_strides=target.strides, residual_strides=added.strides,
        affine_strides=vectors.affine_strides,
        statistics_strides=(vector_stride(mean), vector_stride(spread)), sizes=sizes(view),
        channel_blocks=grid.channel_blocks, tiles=grid.tiles, eps_bits=float_bits(settings.eps),
        SPREAD_IS_VARIANCE=variance, RELU=settings.relu, CHANNELS_LAST=view.channels_last,
        ACC=accumulator(x)[1], WIDE=wide(tile, source, target, added), TILE=shape(tile),
    )  # fmt: skip
