# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Kernels for statistics of channels too long for one program: per split, merged, finished."""

from __future__ import annotations

from .device_functions import (
    block_of_program,
    corner_of,
    divide,
    float_argument,
    inverse_std,
    load_channels,
    load_tile,
    moments,
    not_negative,
    partials_sum,
    store_channels,
    tile_mask,
    tiles_of,
    whole_number,
)
from .runtime import device_function, kernel, tl


@kernel
def partial_statistics(
    x_ptr, count_ptr, mean_ptr, m2_ptr, x_strides, sizes, channel_blocks, splits,
    TILES: tl.constexpr, CHANNELS_LAST: tl.constexpr, ACC: tl.constexpr, WIDE: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    """Store (count, mean, sum of squared deviations) of up to TILES tiles, merged by Chan's formula."""
    block, split = block_of_program(channel_blocks, splits, CHANNELS_LAST)
    zero = tl.full((TILE[0],), 0.0, ACC)
    count = zero
    mean = zero
    m2 = zero
    for tile in range(split * TILES, tl.minimum(split * TILES + TILES, tiles_of(sizes, TILE))):
        corner = corner_of(block, tile, sizes, TILE)
        mask = tile_mask(corner, sizes, TILE)
        x = load_tile(x_ptr, corner, x_strides, mask, ACC, WIDE, TILE)
        rows = tl.minimum(sizes[1] - corner[1], TILE[1])
        columns = tl.minimum(sizes[2] - corner[2], TILE[2])
        tile_count = zero + whole_number(rows * columns, ACC)
        tile_mean, tile_m2 = moments(x, mask, tile_count, ACC)
        total = count + tile_count
        delta = tile_mean - mean
        step = delta * divide(tile_count, total, ACC)
        mean += step
        m2 += tile_m2 + (delta * count) * step  # delta * delta would overflow first
        count = total
    c = block * TILE[0] + tl.arange(0, TILE[0])
    here = tl.cast(split, tl.int64) * sizes[0] + c
    in_c = c < sizes[0]
    tl.store(count_ptr + here, count, mask=in_c)
    tl.store(mean_ptr + here, mean, mask=in_c)
    tl.store(m2_ptr + here, m2, mask=in_c)


@device_function
def merged_partials(
    count_ptr, mean_ptr, m2_ptr, first, partials, c, channels, ACC: tl.constexpr, BP: tl.constexpr
):  # fmt: skip
    """Merge BP partial results from ``first`` on by Chan's formula: (count, mean, m2) per channel."""
    p = first + tl.arange(0, BP)
    mask = (c < channels)[:, None] & (p < partials)[None, :]
    here = p.to(tl.int64)[None, :] * channels + c[:, None]
    count = tl.load(count_ptr + here, mask=mask, other=0.0)
    means = tl.load(mean_ptr + here, mask=mask, other=0.0)
    m2 = tl.load(m2_ptr + here, mask=mask, other=0.0)
    total = partials_sum(count)
    divisor = tl.where(total > 0, total, 1.0)[:, None] + tl.full(count.shape, 0.0, ACC)
    share = divide(count, divisor, ACC)
    # A partial result without values must not count, even if its mean is NaN.
    mean = partials_sum(tl.where(count > 0, means * share, 0.0))
    deviation = tl.where(count > 0, means - mean[:, None], 0.0)
    correction = partials_sum(deviation * share)
    between = partials_sum((deviation * count) * deviation) - (total * correction) * correction
    return total, mean + correction, partials_sum(m2) + not_negative(between)


@kernel
def merge_statistics(
    count_ptr, mean_ptr, m2_ptr, out_count_ptr, out_mean_ptr, out_m2_ptr,
    partials, channels, channel_blocks, ACC: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Merge each group of BP partial results into one."""
    pid = tl.program_id(0)
    group = pid // channel_blocks
    c = (pid % channel_blocks) * BC + tl.arange(0, BC)
    count, mean, m2 = merged_partials(count_ptr, mean_ptr, m2_ptr, group * BP, partials, c, channels, ACC, BP)
    here = tl.cast(group, tl.int64) * channels + c
    in_c = c < channels
    tl.store(out_count_ptr + here, count, mask=in_c)
    tl.store(out_mean_ptr + here, mean, mask=in_c)
    tl.store(out_m2_ptr + here, m2, mask=in_c)


@device_function
def finish_statistics(
    c, in_c, mean, m2, n, mean_ptr, invstd_ptr, running_mean_ptr, running_var_ptr, running_strides,
    eps_bits, momentum_bits, kept_bits, ACC: tl.constexpr,
):  # fmt: skip
    """Store mean and invstd; blend mean and the unbiased variance into the running statistics."""
    per_channel = tl.full(c.shape, 0.0, ACC)
    momentum = float_argument(momentum_bits, ACC)
    kept = float_argument(kept_bits, ACC)
    invstd = inverse_std(divide(m2, per_channel + n, ACC), float_argument(eps_bits, ACC), ACC)
    tl.store(mean_ptr + c, mean, mask=in_c)
    tl.store(invstd_ptr + c, invstd, mask=in_c)
    if running_mean_ptr is not None:
        old = load_channels(running_mean_ptr, running_strides[0], c, in_c, 0.0, ACC)
        store_channels(running_mean_ptr, running_strides[0], c, in_c, kept * old + momentum * mean)
    if running_var_ptr is not None:
        old = load_channels(running_var_ptr, running_strides[1], c, in_c, 0.0, ACC)
        unbiased = divide(m2, per_channel + (n - 1.0), ACC)
        store_channels(running_var_ptr, running_strides[1], c, in_c, kept * old + momentum * unbiased)
    return invstd


@kernel
def finalize_statistics(
    count_ptr, partial_mean_ptr, m2_ptr, mean_ptr, invstd_ptr, running_mean_ptr, running_var_ptr,
    running_strides, partials, channels, values_per_channel, eps_bits, momentum_bits, kept_bits,
    ACC: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Merge the last BP partial results and finish."""
    c = tl.program_id(0) * BC + tl.arange(0, BC)
    _, mean, m2 = merged_partials(count_ptr, partial_mean_ptr, m2_ptr, 0, partials, c, channels, ACC, BP)
    finish_statistics(
        c, c < channels, mean, m2, whole_number(values_per_channel, ACC), mean_ptr, invstd_ptr,
        running_mean_ptr, running_var_ptr, running_strides, eps_bits, momentum_bits, kept_bits, ACC,
    )  # fmt: skip
