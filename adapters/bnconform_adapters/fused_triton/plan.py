"""Launch configurations, as pure functions of sizes, element size and layout.

No timing and no device property counts: the same problem takes the same path on every machine. So
results are reproducible, and no tuner updates running statistics by running a kernel twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Limits on the work of one program. All sizes count float32 values and are powers of two.

    Attributes
    ----------
    on_chip, on_chip_channels_last : int
        Largest channel block that a program can hold, twice in the backward pass. 16 warps have room for
        32 values per thread besides pointers and masks. Channels-last blocks have room for half, since
        their statistics are vectors. Twice as much spills; the compile checks would fail.
    tile : int
        Tile of the kernels that read x tile by tile.
    group : int
        Number of values per program below which several channels share a program.
    enough_programs : int
        Number of programs above which one program takes several tiles.
    tiles_per_program : int
        Largest number of tiles of a program, one after another. This number is small to keep the height
        of the summation tree at about 2 log2 n, which grade T of the error bounds assumes: log2 of a
        tile, plus this number, plus log2 of the number of partial results.
    merge : int
        Number of partial results that one program merges.
    """

    on_chip: int
    on_chip_channels_last: int
    tile: int
    group: int
    enough_programs: int
    tiles_per_program: int = 8
    merge: int = 1024


# 4 warps with eight 128-bit loads each; enough programs to fill 132 multiprocessors eight times.
COMPILED = Budget(on_chip=16384, on_chip_channels_last=8192, tile=4096, group=2048, enough_programs=1024)
# In the interpreter, programs and operations take time, elements almost none: few programs, large tiles.
# The limits that choose between kernels are the same.
INTERPRETED = Budget(on_chip=16384, on_chip_channels_last=8192, tile=32768, group=32768, enough_programs=1)

MERGE_TILE = 4096  # channels x partial results
SECTOR_BYTES = 32
LINE_BYTES = 128


@dataclass(frozen=True)
class Tile:
    """A block of ``channels x rows x columns`` values (powers of two) and the warps that work on it."""

    channels: int
    rows: int
    columns: int
    warps: int


@dataclass(frozen=True)
class Grid:
    """The tiles that cover a ``rows x channels x columns`` problem."""

    channel_blocks: int
    tiles: int
    tiles_per_program: int

    @property
    def splits(self) -> int:
        """Number of programs, and so of partial results, per channel block."""
        return ceil_div(self.tiles, self.tiles_per_program)

    @property
    def programs(self) -> int:
        """Total number of programs."""
        return self.channel_blocks * self.splits


def ceil_div(a: int, b: int) -> int:
    """Return the smallest integer not below a / b."""
    return -(-a // b)


def next_power_of_two(value: int) -> int:
    """Return the smallest power of two not below a positive value."""
    return 1 << (value - 1).bit_length()


def on_chip_tile(
    rows: int, channels: int, columns: int,
    *, itemsize: int, channels_last: bool, budget: Budget = COMPILED,
) -> Tile | None:  # fmt: skip
    """Return a tile that holds all values of some channels, or None if they do not fit on chip.

    Parameters
    ----------
    rows, channels, columns : int
        Sizes of the `layout.ChannelView`.
    itemsize : int
        Bytes per element of x.
    channels_last : bool
        Whether channels are contiguous; then a tile has channels for at least one memory sector.
    budget : Budget
        Limits on the work of one program.
    """
    limit = budget.on_chip_channels_last if channels_last else budget.on_chip
    limit //= 2 if itemsize == 8 else 1
    rows, columns, most = map(next_power_of_two, (rows, columns, channels))
    block = min(most, SECTOR_BYTES // itemsize) if channels_last else 1
    if block * rows * columns > limit:
        return None
    while block < most and 2 * block * rows * columns <= budget.group:
        block *= 2
    return Tile(block, rows, columns, warps=_warps(block * rows * columns, most=16))


def streaming_tile(
    rows: int, channels: int, columns: int,
    *, itemsize: int, channels_last: bool, budget: Budget = COMPILED,
) -> Tile:  # fmt: skip
    """Return the tile of the kernels that read x tile by tile: split statistics, normalisation, gradients.

    Parameters are those of `on_chip_tile`.
    """
    size = budget.tile // (2 if itemsize == 8 else 1)
    most_rows, most_columns, most = map(next_power_of_two, (rows, columns, channels))
    if channels_last:
        block = min(most, LINE_BYTES // itemsize)
        height, length = 1, min(most_columns, size // block)
    else:
        length = min(most_columns, _least_padding(columns, size, least=size // most_rows))
        height = min(most_rows, size // length)
    block = min(most, size // (height * length))
    return Tile(block, height, length, warps=_warps(block * height * length, most=4))


def lay(
    tile: Tile, rows: int, channels: int, columns: int, *, merge: bool, budget: Budget = COMPILED
) -> Grid:  # fmt: skip
    """Return the grid of a tile over a problem; with ``merge``, programs take several tiles if there are many."""
    channel_blocks = ceil_div(channels, tile.channels)
    tiles = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns)
    per_program = tiles * channel_blocks // budget.enough_programs if merge else 1
    return Grid(channel_blocks, tiles, min(budget.tiles_per_program, max(1, per_program)))


def merge_tile(partials: int, channels: int, *, budget: Budget = COMPILED) -> tuple[int, int]:
    """Return the channels and partial results (powers of two) of one merging program."""
    length = min(budget.merge, next_power_of_two(partials))
    return min(next_power_of_two(channels), MERGE_TILE // length, 64), length


def _warps(size: int, *, most: int) -> int:
    """Return the number of warps of 32 threads, each thread with at least 16 values."""
    return min(most, max(1, size // 512))


def _least_padding(columns: int, most: int, *, least: int) -> int:
    """Return the tile length, from 256 or ``least`` to ``most``, with the fewest unused lanes at the end of a row."""
    lengths = [length for length in (4096, 2048, 1024, 512, 256) if least <= length <= most] or [most]
    return min(lengths, key=lambda length: ceil_div(columns, length) * length)
