# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# ruff: noqa: RET505
# (Triton cannot compile a return after an `if CONSTEXPR: return`.)
"""Kernels of backward passes: the single pass on chip, and split sums followed by the input gradient."""

from __future__ import annotations

from .device_functions import (
    across,
    block_of_program,
    corner_of,
    divide,
    load_channels,
    load_tile,
    normalized,
    partials_sum,
    relu_gradient,
    store_channels,
    store_tile,
    tile_mask,
    tile_sum,
    tiles_of,
    whole_number,
)
from .runtime import device_function, kernel, tl


@device_function
def through_relu(
    dy, x, y_ptr, corner, y_strides, mean, scale, bias, mask,
    ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Pass dy through ReLU's gate: the sign of the stored y, or recomputed from x if y is not given."""
    if y_ptr is not None:
        return relu_gradient(dy, load_tile(y_ptr, corner, y_strides, mask, ACC, WIDE, TILE))
    else:
        return relu_gradient(dy, normalized(x, mean, scale, bias))


@kernel
def backward_on_chip(
    dy_ptr, x_ptr, y_ptr, dx_ptr, dresidual_ptr, weight_ptr, bias_ptr, mean_ptr, invstd_ptr,
    dweight_ptr, dbias_ptr, dy_strides, x_strides, y_strides, dx_strides, affine_strides, sizes,
    RELU: tl.constexpr, ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Compute all gradients of a training step for channels that fit on chip: two reads, one write."""
    corner = (tl.program_id(0) * TILE[0], 0, 0)
    c = corner[0] + tl.arange(0, TILE[0])
    in_c = c < sizes[0]
    mask = tile_mask(corner, sizes, TILE)
    x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
    dy = load_tile(dy_ptr, corner, dy_strides, mask, ACC, WIDE, TILE)
    mean = tl.load(mean_ptr + c, mask=in_c, other=0.0)
    invstd = tl.load(invstd_ptr + c, mask=in_c, other=0.0)
    scale = invstd * load_channels(weight_ptr, affine_strides[0], c, in_c, 1.0, ACC)
    if RELU:
        bias = load_channels(bias_ptr, affine_strides[1], c, in_c, 0.0, ACC)
        dy = through_relu(dy, x, y_ptr, corner, y_strides, mean, scale, bias, mask, ACC, WIDE, TILE)
        if dresidual_ptr is not None:
            store_tile(dresidual_ptr, corner, dx_strides, dy, mask, WIDE, TILE)
    xhat = tl.where(mask, (x - across(mean)) * across(invstd), 0.0)
    sum_dy = tile_sum(dy)
    sum_dy_xhat = tile_sum(dy * xhat)
    if dbias_ptr is not None:
        store_channels(dbias_ptr, 1, c, in_c, sum_dy)
    if dweight_ptr is not None:
        store_channels(dweight_ptr, 1, c, in_c, sum_dy_xhat)
    if dx_ptr is not None:
        n = tl.full((TILE[0],), 0.0, ACC) + whole_number(sizes[1], ACC) * whole_number(sizes[2], ACC)
        mean_dy = across(divide(sum_dy, n, ACC))
        mean_dy_xhat = across(divide(sum_dy_xhat, n, ACC))
        dx = across(scale) * (dy - mean_dy - xhat * mean_dy_xhat)
        store_tile(dx_ptr, corner, dx_strides, dx, mask, WIDE, TILE)


@kernel
def partial_gradients(
    dy_ptr, x_ptr, y_ptr, dx_ptr, dresidual_ptr, weight_ptr, bias_ptr, mean_ptr, invstd_ptr,
    sum_dy_ptr, sum_dy_xhat_ptr, dy_strides, x_strides, y_strides, dx_strides, affine_strides, sizes,
    channel_blocks, splits,
    RELU: tl.constexpr, TILES: tl.constexpr, CHANNELS_LAST: tl.constexpr,
    ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Sum dy and dy * xhat over up to TILES tiles.

    In inference mode dx = weight * invstd * dy needs no sum; the same loop writes it (``dx_ptr``).
    """
    block, split = block_of_program(channel_blocks, splits, CHANNELS_LAST)
    c = block * TILE[0] + tl.arange(0, TILE[0])
    in_c = c < sizes[0]
    mean = tl.load(mean_ptr + c, mask=in_c, other=0.0)
    invstd = tl.load(invstd_ptr + c, mask=in_c, other=0.0)
    scale = invstd * load_channels(weight_ptr, affine_strides[0], c, in_c, 1.0, ACC)
    bias = load_channels(bias_ptr, affine_strides[1], c, in_c, 0.0, ACC)
    sum_dy = tl.full((TILE[0],), 0.0, ACC)
    sum_dy_xhat = tl.full((TILE[0],), 0.0, ACC)
    for tile in range(split * TILES, tl.minimum(split * TILES + TILES, tiles_of(sizes, TILE))):
        corner = corner_of(block, tile, sizes, TILE)
        mask = tile_mask(corner, sizes, TILE)
        x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
        dy = load_tile(dy_ptr, corner, dy_strides, mask, ACC, WIDE, TILE)
        if RELU:
            dy = through_relu(dy, x, y_ptr, corner, y_strides, mean, scale, bias, mask, ACC, WIDE, TILE)
            if dresidual_ptr is not None:
                store_tile(dresidual_ptr, corner, dx_strides, dy, mask, WIDE, TILE)
        if dx_ptr is not None:
            store_tile(dx_ptr, corner, dx_strides, across(scale) * dy, mask, WIDE, TILE)
        sum_dy += tile_sum(dy)
        sum_dy_xhat += tile_sum(dy * tl.where(mask, (x - across(mean)) * across(invstd), 0.0))
    here = tl.cast(split, tl.int64) * sizes[0] + c
    tl.store(sum_dy_ptr + here, sum_dy, mask=in_c)
    tl.store(sum_dy_xhat_ptr + here, sum_dy_xhat, mask=in_c)


@kernel
def merge_gradients(
    sum_dy_ptr, sum_dy_xhat_ptr, out_dy_ptr, out_dy_xhat_ptr, dweight_ptr, dbias_ptr,
    partials, channels, channel_blocks, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Add each group of BP partial sums; the last round also writes the parameters' gradients."""
    pid = tl.program_id(0)
    group = pid // channel_blocks
    c = (pid % channel_blocks) * BC + tl.arange(0, BC)
    in_c = c < channels
    p = group * BP + tl.arange(0, BP)
    mask = in_c[:, None] & (p < partials)[None, :]
    here = p.to(tl.int64)[None, :] * channels + c[:, None]
    sum_dy = partials_sum(tl.load(sum_dy_ptr + here, mask=mask, other=0.0))
    sum_dy_xhat = partials_sum(tl.load(sum_dy_xhat_ptr + here, mask=mask, other=0.0))
    out = tl.cast(group, tl.int64) * channels + c
    tl.store(out_dy_ptr + out, sum_dy, mask=in_c)
    tl.store(out_dy_xhat_ptr + out, sum_dy_xhat, mask=in_c)
    if dbias_ptr is not None:
        store_channels(dbias_ptr, 1, c, in_c, sum_dy)
    if dweight_ptr is not None:
        store_channels(dweight_ptr, 1, c, in_c, sum_dy_xhat)


@kernel
def input_gradient(
    dy_ptr, x_ptr, y_ptr, dx_ptr, dresidual_ptr, weight_ptr, bias_ptr, mean_ptr, invstd_ptr,
    sum_dy_ptr, sum_dy_xhat_ptr, dy_strides, x_strides, y_strides, dx_strides, affine_strides, sizes,
    values_per_channel, channel_blocks, tiles,
    RELU: tl.constexpr, CHANNELS_LAST: tl.constexpr,
    ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Compute dx of one tile, from the channels' sums (training) or without them (inference)."""
    block, tile = block_of_program(channel_blocks, tiles, CHANNELS_LAST)
    corner = corner_of(block, tile, sizes, TILE)
    c = corner[0] + tl.arange(0, TILE[0])
    in_c = c < sizes[0]
    mean = tl.load(mean_ptr + c, mask=in_c, other=0.0)
    invstd = tl.load(invstd_ptr + c, mask=in_c, other=0.0)
    scale = invstd * load_channels(weight_ptr, affine_strides[0], c, in_c, 1.0, ACC)
    mask = tile_mask(corner, sizes, TILE)
    dy = load_tile(dy_ptr, corner, dy_strides, mask, ACC, WIDE, TILE)
    x = dy  # a placeholder if x is not needed: inference without ReLU, or with a stored y
    if x_ptr is not None:
        x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
    if RELU:
        bias = load_channels(bias_ptr, affine_strides[1], c, in_c, 0.0, ACC)
        dy = through_relu(dy, x, y_ptr, corner, y_strides, mean, scale, bias, mask, ACC, WIDE, TILE)
        if dresidual_ptr is not None:
            store_tile(dresidual_ptr, corner, dx_strides, dy, mask, WIDE, TILE)
    if sum_dy_ptr is not None:
        n = tl.full((TILE[0],), 0.0, ACC) + whole_number(values_per_channel, ACC)
        mean_dy = divide(tl.load(sum_dy_ptr + c, mask=in_c, other=0.0), n, ACC)
        mean_dy_xhat = divide(tl.load(sum_dy_xhat_ptr + c, mask=in_c, other=0.0), n, ACC)
        dy = dy - across(mean_dy) - (x - across(mean)) * across(invstd) * across(mean_dy_xhat)
    if dx_ptr is not None:
        store_tile(dx_ptr, corner, dx_strides, across(scale) * dy, mask, WIDE, TILE)
