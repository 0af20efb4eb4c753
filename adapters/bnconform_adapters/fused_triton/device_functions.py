# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# ruff: noqa: RET505, SIM300
# (Both rules rewrite `if CONSTEXPR: return a; else: return b` into code that Triton cannot compile.)
"""Functions that the kernels share: tiles of ``channels x rows x columns``, sums, moments, rounding.

Three tuples describe a tile: ``corner`` (its first channel, row and column), a tensor's ``strides`` on
these axes, and ``TILE``, its constexpr shape. Arithmetic is in float32 (``ACC``), or float64 for float64
data. Narrower values are widened right after their load, because Triton's interpreter computes on the
raw bits of bfloat16.
"""

from __future__ import annotations

from .runtime import device_function, interpreted, tl

# Triton 3.9's interpreter truncates float32 to bfloat16 instead of rounding to nearest even.
EMULATE_ROUNDING = tl.constexpr(interpreted)


@device_function
def float_argument(bits, ACC: tl.constexpr):
    """Return the float that ``runtime.float_bits`` packed."""
    return tl.cast(tl.cast(bits, tl.int64), tl.float64, bitcast=True).to(ACC)


@device_function
def whole_number(value, ACC: tl.constexpr):
    """Convert an integer argument to a float; it may be a constexpr, since Triton specialises on 1."""
    return tl.cast(tl.cast(value, tl.int64), ACC)


@device_function
def block_of_program(channel_blocks, splits, CHANNELS_LAST: tl.constexpr):
    """Return (channel block, split) of this program; neighbouring programs read neighbouring memory."""
    pid = tl.program_id(0)
    if CHANNELS_LAST:
        return pid % channel_blocks, pid // channel_blocks
    else:
        return pid // splits, pid % splits


@device_function
def tiles_of(sizes, TILE: tl.constexpr):
    """Return the number of tiles that cover the rows and columns of a channel block."""
    return ((sizes[1] + TILE[1] - 1) // TILE[1]) * ((sizes[2] + TILE[2] - 1) // TILE[2])


@device_function
def corner_of(block, tile, sizes, TILE: tl.constexpr):
    """Return the first channel, row and column of a tile."""
    across_columns = (sizes[2] + TILE[2] - 1) // TILE[2]
    return block * TILE[0], (tile // across_columns) * TILE[1], (tile % across_columns) * TILE[2]


@device_function
def tile_pointers(ptr, corner, strides, WIDE: tl.constexpr, TILE: tl.constexpr):
    """Return the pointers of a tile: a 64-bit base, and offsets of 64 bits only if needed."""
    base = (
        tl.cast(corner[0], tl.int64) * strides[0]
        + tl.cast(corner[1], tl.int64) * strides[1]
        + tl.cast(corner[2], tl.int64) * strides[2]
    )
    c = tl.arange(0, TILE[0])[:, None, None]
    r = tl.arange(0, TILE[1])[None, :, None]
    s = tl.arange(0, TILE[2])[None, None, :]
    if WIDE:
        c = c.to(tl.int64)
        r = r.to(tl.int64)
        s = s.to(tl.int64)
    return (ptr + base) + (c * strides[0] + r * strides[1] + s * strides[2])


@device_function
def tile_mask(corner, sizes, TILE: tl.constexpr):
    """Return True for the elements of a tile that lie inside the tensor."""
    c = tl.arange(0, TILE[0])[:, None, None]
    r = tl.arange(0, TILE[1])[None, :, None]
    s = tl.arange(0, TILE[2])[None, None, :]
    return (c < sizes[0] - corner[0]) & (r < sizes[1] - corner[1]) & (s < sizes[2] - corner[2])


@device_function
def load_tile(ptr, corner, strides, mask, ACC: tl.constexpr, WIDE: tl.constexpr, TILE: tl.constexpr):
    """Load a tile and widen it to ACC, with 0 outside the tensor."""
    return tl.load(tile_pointers(ptr, corner, strides, WIDE, TILE), mask=mask, other=0.0).to(ACC)


@device_function
def store_tile(ptr, corner, strides, value, mask, WIDE: tl.constexpr, TILE: tl.constexpr):
    """Store a tile, rounded to the tensor's dtype."""
    tl.store(tile_pointers(ptr, corner, strides, WIDE, TILE), rounded(value, ptr), mask=mask)


@device_function
def load_channels(ptr, stride, c, in_c, absent, ACC: tl.constexpr):
    """Load one value per channel, or return the constant ``absent`` if ``ptr`` is None."""
    if ptr is None:
        return tl.full(c.shape, absent, ACC)
    else:
        return tl.load(ptr + c.to(tl.int64) * stride, mask=in_c, other=0.0).to(ACC)


@device_function
def store_channels(ptr, stride, c, in_c, value):
    """Store one value per channel, rounded to the tensor's dtype."""
    tl.store(ptr + c.to(tl.int64) * stride, rounded(value, ptr), mask=in_c)


@device_function
def rounded(value, ptr):
    """Convert ``value`` to the element type of ``ptr``, rounded to nearest even."""
    dtype: tl.constexpr = ptr.dtype.element_ty
    if EMULATE_ROUNDING and dtype == tl.bfloat16:
        bits = value.to(tl.uint32, bitcast=True)
        upper = ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).to(tl.uint16)
        upper = tl.where(value != value, 0x7FC0, upper).to(tl.uint16)
        return upper.to(tl.bfloat16, bitcast=True)
    else:
        return value.to(dtype)


@device_function
def across(value):
    """Reshape one value per channel to broadcast over a tile."""
    return value[:, None, None]


@device_function
def tile_sum(tile):
    """Sum over rows and columns, to one value per channel."""
    # The interpreter runs this combine function as NumPy's pairwise sum; tl.sum would be a compiled
    # function if another package imported Triton before the interpreter was chosen.
    return tl.reduce(tl.reduce(tile, 2, tl.standard._sum_combine), 1, tl.standard._sum_combine)


@device_function
def partials_sum(partials):
    """Sum ``channels x partials`` over the partials."""
    return tl.reduce(partials, 1, tl.standard._sum_combine)


@device_function
def divide(a, b, ACC: tl.constexpr):
    """Return the correctly rounded quotient."""
    if ACC == tl.float64:
        return a / b
    else:
        return tl.div_rn(a, b)


@device_function
def inverse_std(variance, eps, ACC: tl.constexpr):
    """Return 1 / sqrt(variance + eps) to about the last bit; once per channel, this costs nothing."""
    v = variance + eps
    if ACC == tl.float64:
        return 1.0 / tl.sqrt(v)
    else:
        return tl.div_rn(tl.full(v.shape, 1.0, ACC), tl.sqrt_rn(v))


@device_function
def not_negative(value):
    """Replace a sum of squares below 0, a result of rounding, by 0; keep NaN, unlike ``tl.maximum``."""
    return tl.where(value < 0, 0.0, value)


@device_function
def moments(x, mask, count, ACC: tl.constexpr):
    """Compute mean and sum of squared deviations of a tile, by two passes over registers.

    The sum of the deviations, 0 except for the rounding of the mean, corrects both.
    """
    mean = divide(tile_sum(x), count, ACC)
    deviation = tl.where(mask, x - across(mean), 0.0)
    remainder = tile_sum(deviation)
    correction = divide(remainder, count, ACC)
    m2 = not_negative(tile_sum(deviation * deviation) - remainder * correction)
    return mean + correction, m2


@device_function
def normalized(x, mean, scale, shift):
    """Compute (x - mean) * scale + shift; the folded form x * a + b cancels if |mean| is large."""
    return (x - across(mean)) * across(scale) + across(shift)


@device_function
def relu(z):
    """Return max(z, 0), but keep NaN."""
    return tl.where(z <= 0, 0.0, z)


@device_function
def relu_gradient(dy, z):
    """Return dy where ReLU passes z, else 0."""
    return tl.where(z <= 0, 0.0, dy)
