"""Memory layouts: the same values, placed differently, between guard zones."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Layout

GUARD = 32
"""Elements of canary before and behind every buffer."""
FAR = 2**32 + GUARD // 2
"""Elements between the first and the last along the outermost axis in the layout "far": an index of 32 bits, signed or
not, comes round to canary, or to another element of the first row."""


@dataclass(frozen=True)
class Placed:
    """An array in a layout, and the memory around it.

    Attributes
    ----------
    array : array
        What the implementation is given.
    buffer : array, one axis
        All memory that was allocated for it. What the array does not use is NaN, so that a read outside shows.
    before : bytes
        The buffer as it was handed over.
    """

    array: AnyArray
    buffer: AnyArray
    before: bytes

    def overrun(self) -> bool:
        """Whether memory outside the array was written."""
        data = self.buffer.tobytes()
        if data == self.before:
            return False
        outside = np.ones(self.buffer.shape, bool)
        mark = np.lib.stride_tricks.as_strided(
            outside[self.offset :], self.array.shape, [s // self.buffer.itemsize for s in self.array.strides]
        )
        mark[...] = False
        now = np.frombuffer(data, np.uint8).reshape(self.buffer.size, -1)
        then = np.frombuffer(self.before, np.uint8).reshape(self.buffer.size, -1)
        return bool((now != then)[outside].any())

    @property
    def offset(self) -> int:
        """Index in the buffer of the array's first element."""
        first = self.array.__array_interface__["data"][0] - self.buffer.__array_interface__["data"][0]
        return int(first // self.buffer.itemsize)


@dataclass(frozen=True)
class FarPlaced:
    """An array in the layout "far": rows between guard zones, in memory that is not there until it is touched.

    Attributes
    ----------
    array, buffer
        As of :class:`Placed`; all of the buffer but the rows and their guard zones is 0.
    rows : tuple of Placed
    """

    array: AnyArray
    buffer: AnyArray
    rows: tuple[Placed, ...]

    def overrun(self) -> bool:
        """Whether memory beside a row was written."""
        return any(row.overrun() for row in self.rows)

    @property
    def offset(self) -> int:
        """Index in the buffer of the array's first element."""
        return GUARD


def place(array: AnyArray, layout: Layout) -> Placed | FarPlaced:
    """Put a copy of `array` (N, C, *spatial), or of a vector (C,), into guarded memory in the given layout.

    Parameters
    ----------
    layout : str
        contiguous: rows first. channels_last: channels vary fastest. transposed: the first two axes swapped in
        memory. reversed: backwards along every axis. sliced: every second element along the last axis, with an
        offset. expanded: stride 0 along axis 0 (read-only). far: the first axis that is longer than 1 spans more
        than 2^32 elements.

    Raises
    ------
    ValueError
        `layout` is expanded, but the array varies along axis 0.
    """
    if layout == "expanded":
        if array.size and array.tobytes() != np.broadcast_to(array[:1], array.shape).tobytes():
            raise ValueError("an expanded layout needs equal values along axis 0")
        placed = _place(array[:1], "contiguous")
        return Placed(np.broadcast_to(placed.array, array.shape), placed.buffer, placed.before)
    return _place_far(array) if layout == "far" and array.size > 1 else _place(array, layout)


def _place(array: AnyArray, layout: Layout) -> Placed:
    order = _order(layout, array.ndim)
    inner = tuple(array.shape[axis] for axis in order)
    step = 2 if layout == "sliced" else 1
    used = int(np.prod(inner, dtype=np.int64)) * step
    buffer = np.full(used + 2 * GUARD, np.nan, array.dtype)
    dense = buffer[GUARD : GUARD + used].reshape(*inner[:-1], inner[-1] * step)[..., ::step]
    view = dense.transpose(np.argsort(order))
    if layout == "reversed":
        view = view[(slice(None, None, -1),) * array.ndim]
    view[...] = array
    return Placed(view, buffer, buffer.tobytes())


def _place_far(array: AnyArray) -> FarPlaced:
    strides, elements = far_strides(array.shape)
    buffer = np.frombuffer(_untouched(elements * array.itemsize), array.dtype)
    far = np.lib.stride_tricks.as_strided(buffer[GUARD:], array.shape, [s * array.itemsize for s in strides])
    axis = outermost(array.shape)
    rows = []
    for i in range(array.shape[axis]):
        at: tuple[Any, ...] = (*(0 for _ in range(axis)), i)
        window = buffer[i * strides[axis] :][: array[at].size + 2 * GUARD]
        window[...] = np.nan
        far[at] = array[at]
        rows.append(Placed(far[(*at, ...)], window, window.tobytes()))
    return FarPlaced(far, buffer, tuple(rows))


def far_strides(shape: tuple[int, ...]) -> tuple[list[int], int]:
    """Strides of the layout "far", and how many elements it needs with its guard zones."""
    axis = outermost(shape)
    row = int(np.prod(shape[axis + 1 :], dtype=np.int64))
    apart = -(-FAR // (shape[axis] - 1))
    strides = [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]
    strides[axis] = apart
    return strides, (shape[axis] - 1) * apart + row + 2 * GUARD


def outermost(shape: tuple[int, ...]) -> int:
    """The first axis that is longer than 1."""
    return next(axis for axis, size in enumerate(shape) if size > 1)


@cache
def far_memory() -> bool:
    """Whether this machine lends the address space that the layout "far" needs."""
    try:
        _untouched(8 * (2 * FAR))
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _untouched(size: int) -> mmap.mmap:
    """Bytes of 0 that take memory only where they are touched."""
    if sys.platform == "win32":
        raise OSError("memory cannot be had without taking it")
    without_reserve = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE, which has a name from Python 3.13 on
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | without_reserve)


def _order(layout: Layout, ndim: int) -> tuple[int, ...]:
    """Axes from the slowest to the fastest in memory."""
    axes = tuple(range(ndim))
    match layout:
        case "channels_last":
            return (axes[0], *axes[2:], axes[1])
        case "transposed":
            return (axes[1], axes[0], *axes[2:])
        case _:
            return axes


def shared_pairs(results: Mapping[str, AnyArray | None], inputs: Mapping[str, AnyArray | None]) -> tuple[str, ...]:
    """Which results share memory with an input or with one another, as "y and x"."""
    found = []
    given = [(name, array) for name, array in results.items() if array is not None and array.size]
    others = given + [(name, array) for name, array in inputs.items() if array is not None and array.size]
    for i, (name, array) in enumerate(given):
        for other, memory in others[i + 1 :]:
            if np.may_share_memory(array, memory):
                found.append(f"{name} and {other}")
    return tuple(found)


def channels_last(array: AnyArray) -> AnyArray:
    """(N, C, *spatial) to (N, *spatial, C)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def channels_second(array: Any) -> AnyArray:
    """(N, *spatial, C) of any framework that converts to NumPy, to (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(array), -1, 1))


def spoil_memory(case: Case) -> None:
    """Allocate and free blocks of the sizes that a call with `case` will ask for, full of NaN."""
    sizes = {case.x.size, case.x.shape[1], 2 * case.x.shape[1], case.values_per_channel}
    blocks = [np.full(size, np.nan, dtype) for size in sizes for dtype in (case.x.dtype, np.float32) for _ in range(8)]
    blocks.clear()
