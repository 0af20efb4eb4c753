"""Shapes to draw: small ones, many channels, long channels, sizes at block edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
Chooser: TypeAlias = Callable[[tuple[int, ...]], int]
Kind: TypeAlias = Literal["small", "equal", "wide", "long", "bulk", "deep"]

# Small n shows numerical faults, large n structural ones; large shapes cost more and are drawn rarely.
KINDS: tuple[Kind, ...] = ("small", "small", "small", "small", "small", "small", "equal", "wide", "long")
SMALL_CHANNELS = (2, 1, 3, 5, 8)
WIDE_CHANNELS = (9, 17, 64, 33, 65, 130, 256, 1030)
INTERPRETED_CHANNELS = (9, 64, 65, 130)
"""Channels for an interpreted kernel, which takes milliseconds per channel."""
SMALL_SIZES = (2, 3, 1, 4, 5, 7, 8)
BLOCK_EDGES = (31, 12, 32, 33, 20, 63, 65, 28, 127, 129, 56, 255, 257, 100, 1023, 1025, 784, 2049, 4097)
"""Sizes around powers of two, and odd multiples of small ones: whole blocks of 4 or 8, but not of 32."""


# Positions, on one to three axes.
BULK: dict[int, tuple[Shape, Shape, Shape]] = {
    1056: ((1056,), (32, 33), (4, 8, 33)),
    784: ((784,), (28, 28), (4, 7, 28)),
}
LONG_BATCHES = (2049, 4097, 2560)
"""Large N for a space that is large, too."""
SPACES: dict[int, tuple[Shape, Shape, Shape]] = {
    9: ((9,), (3, 3), (1, 3, 3)),
    35: ((35,), (5, 7), (1, 5, 7)),
    12: ((12,), (2, 6), (2, 2, 3)),
}
"""Positions beside a large N, on one to three axes: more than 8, and no multiple of it."""


def shape_of(kind: Kind, rank: int, choose: Chooser, wide: tuple[int, ...] = WIDE_CHANNELS) -> Shape:
    """Choose a shape (N, C, *spatial) of a rank.

    small: few values. equal: few values, along axes of equal length. wide: many channels of few values. bulk: many
    channels and more than 65536 elements. long: few channels, and n near a block edge, in N for rank 2 and along the
    last axis otherwise. deep: few channels, and both N and the space are large.
    """
    if kind == "equal":
        size = choose((3, 2, 5))
        return (choose((size, 1)), *(size for _ in range(rank - 1)))
    if kind == "wide":
        return (choose((3, 2, 5)), choose(wide), *(choose((2, 1)) for _ in range(rank - 2)))
    if kind == "bulk":
        positions = choose((1056, 784))
        return (4, 64, *BULK[positions][rank - 3]) if rank > 2 else (4 * positions, 64)
    if kind == "deep":
        samples, channels = choose(LONG_BATCHES), choose((2, 1))
        return (samples, channels, *(SPACES[choose((9, 35, 12))][rank - 3] if rank > 2 else ()))
    if kind == "long":
        channels = choose((2, 1, 3))
        length = choose(BLOCK_EDGES)
        return with_values(rank, length, channels, samples=1 if rank == 2 else choose((1, 2, 3)))
    sizes = [choose(SMALL_SIZES) for _ in range(min(rank - 2, 2))] + [choose((1, 2, 3)) for _ in range(rank - 4)]
    return (choose(SMALL_SIZES), choose(SMALL_CHANNELS), *sizes)


def with_values(rank: int, n: int, channels: int, *, samples: int = 1) -> Shape:
    """Return a shape with n values per channel in each of `samples`; in rank 2, N holds all values."""
    if rank == 2:
        return (samples * n, channels)
    return (samples, channels, *(1 for _ in range(rank - 3)), n)


def fitted(shape: Shape, largest: int | None) -> Shape:
    """Return the shape, with the longest axes halved until it has at most `largest` elements."""
    if largest is None:
        return shape
    sizes = list(shape)
    while math.prod(sizes) > largest:
        sizes[sizes.index(max(sizes))] //= 2
    return tuple(sizes)


def at_least_two_values(shape: Shape) -> Shape:
    """Return the shape, but with two samples if it has a single value per channel."""
    single = all(size == 1 for i, size in enumerate(shape) if i != 1)
    return (2, *shape[1:]) if single else shape
