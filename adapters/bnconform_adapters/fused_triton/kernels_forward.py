# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Kernels of forward passes: the single pass on chip, and the normalisation with known statistics."""

from __future__ import annotations

from .device_functions import (
    block_of_program,
    corner_of,
    float_argument,
    inverse_std,
    load_channels,
    load_tile,
    moments,
    normalized,
    relu,
    store_tile,
    tile_mask,
    whole_number,
)
from .kernels_statistics import finish_statistics
from .runtime import kernel, tl


@kernel
def training_forward_on_chip(
    x_ptr, y_ptr, residual_ptr, weight_ptr, bias_ptr, running_mean_ptr, running_var_ptr,
    mean_ptr, invstd_ptr, x_strides, y_strides, residual_strides, affine_strides, running_strides, sizes,
    eps_bits, momentum_bits, kept_bits,
    RELU: tl.constexpr, ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Compute statistics of channels that fit on chip and normalise them: one read, one write."""
    corner = (tl.program_id(0) * TILE[0], 0, 0)
    c = corner[0] + tl.arange(0, TILE[0])
    in_c = c < sizes[0]
    # Load before the running statistics are written: the buffers may share memory.
    weight = load_channels(weight_ptr, affine_strides[0], c, in_c, 1.0, ACC)
    bias = load_channels(bias_ptr, affine_strides[1], c, in_c, 0.0, ACC)
    mask = tile_mask(corner, sizes, TILE)
    x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
    n = whole_number(sizes[1], ACC) * whole_number(sizes[2], ACC)
    mean, m2 = moments(x, mask, tl.full((TILE[0],), 0.0, ACC) + n, ACC)
    invstd = finish_statistics(
        c, in_c, mean, m2, n, mean_ptr, invstd_ptr, running_mean_ptr, running_var_ptr,
        running_strides, eps_bits, momentum_bits, kept_bits, ACC,
    )  # fmt: skip
    y = normalized(x, mean, invstd * weight, bias)
    if residual_ptr is not None:
        y += load_tile(residual_ptr, corner, residual_strides, mask, ACC, WIDE, TILE)
    if RELU:
        y = relu(y)
    store_tile(y_ptr, corner, y_strides, y, mask, WIDE, TILE)


@kernel
def normalize(
    x_ptr, y_ptr, residual_ptr, weight_ptr, bias_ptr, mean_ptr, spread_ptr,
    saved_mean_ptr, saved_invstd_ptr, x_strides, y_strides, residual_strides, affine_strides,
    statistics_strides, sizes, channel_blocks, tiles, eps_bits,
    SPREAD_IS_VARIANCE: tl.constexpr, RELU: tl.constexpr, CHANNELS_LAST: tl.constexpr,
    ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Normalise one tile with given statistics: ``spread`` is the variance, or already invstd."""
    block, tile = block_of_program(channel_blocks, tiles, CHANNELS_LAST)
    corner = corner_of(block, tile, sizes, TILE)
    c = corner[0] + tl.arange(0, TILE[0])
    in_c = c < sizes[0]
    mean = load_channels(mean_ptr, statistics_strides[0], c, in_c, 0.0, ACC)
    invstd = load_channels(spread_ptr, statistics_strides[1], c, in_c, 1.0, ACC)
    if SPREAD_IS_VARIANCE:
        invstd = inverse_std(invstd, float_argument(eps_bits, ACC), ACC)
    if saved_mean_ptr is not None:
        by_first_tile = c < tl.where(tile == 0, sizes[0], 0)
        tl.store(saved_mean_ptr + c, mean, mask=by_first_tile)
        tl.store(saved_invstd_ptr + c, invstd, mask=by_first_tile)
    weight = load_channels(weight_ptr, affine_strides[0], c, in_c, 1.0, ACC)
    bias = load_channels(bias_ptr, affine_strides[1], c, in_c, 0.0, ACC)
    mask = tile_mask(corner, sizes, TILE)
    x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
    y = normalized(x, mean, invstd * weight, bias)
    if residual_ptr is not None:
        y += load_tile(residual_ptr, corner, residual_strides, mask, ACC, WIDE, TILE)
    if RELU:
        y = relu(y)
    store_tile(y_ptr, corner, y_strides, y, mask, WIDE, TILE)
