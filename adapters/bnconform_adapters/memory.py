"""Memory layouts: the same values, placed differently, between guard zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Layout

GUARD = 32
"""Elements of canary before and behind every buffer."""


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
        outside = np.ones(self.buffer.shape, bool)
        mark = np.lib.stride_tricks.as_strided(
            outside[self.offset :], self.array.shape, [s // self.buffer.itemsize for s in self.array.strides]
        )
        mark[...] = False
        now = np.frombuffer(self.buffer.tobytes(), np.uint8).reshape(self.buffer.size, -1)
        then = np.frombuffer(self.before, np.uint8).reshape(self.buffer.size, -1)
        return bool((now != then)[outside].any())

    @property
    def offset(self) -> int:
        """Index in the buffer of the array's first element."""
        first = self.array.__array_interface__["data"][0] - self.buffer.__array_interface__["data"][0]
        return int(first // self.buffer.itemsize)


def place(array: AnyArray, layout: Layout) -> Placed:
    """Put a copy of `array` (N, C, *spatial), or of a vector (C,), into guarded memory in the given layout.

    Parameters
    ----------
    layout : str
        contiguous: rows first. channels_last: channels vary fastest. transposed: the first two axes swapped in
        memory. reversed: backwards along every axis. sliced: every second element along the last axis, with an
        offset. expanded: stride 0 along axis 0 (read-only).

    Raises
    ------
    ValueError
        `layout` is expanded, but the array varies along axis 0.
    """
    if layout == "expanded":
        if array.size and array.tobytes() != np.broadcast_to(array[:1], array.shape).tobytes():
            raise ValueError("an expanded layout needs equal values along axis 0")
        placed = place(array[:1], "contiguous")
        return Placed(np.broadcast_to(placed.array, array.shape), placed.buffer, placed.before)
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
