"""Memory layouts: the same values, placed differently."""

from __future__ import annotations

import numpy as np

from bnconform_adapters.contract import AnyArray, Layout


def arrange(array: AnyArray, layout: Layout) -> AnyArray:
    """Return a writable copy of `array` (N, C, *spatial) with equal values in the given memory layout.

    Parameters
    ----------
    array : array, shape (N, C, *spatial)
    layout : str
        contiguous: rows first. channels_last: channels vary fastest. transposed: the first two axes swapped in
        memory. sliced: every second element along the last axis of a larger buffer, with an offset; the gaps are
        NaN, so that a read outside the view shows. expanded: stride 0 along axis 0 (read-only).

    Raises
    ------
    ValueError
        `layout` is expanded, but the array varies along axis 0.
    """
    match layout:
        case "contiguous":
            return np.array(array, order="C", copy=True)
        case "channels_last":
            return np.moveaxis(np.array(np.moveaxis(array, 1, -1), order="C", copy=True), -1, 1)
        case "transposed":
            return np.swapaxes(np.array(np.swapaxes(array, 0, 1), order="C", copy=True), 0, 1)
        case "sliced":
            buffer = np.full((*array.shape[:-1], 2 * array.shape[-1] + 3), np.nan, array.dtype)
            view = buffer[..., 1 : 1 + 2 * array.shape[-1] : 2]
            view[...] = array
            return view
        case "expanded":
            if array.size and array.tobytes() != np.broadcast_to(array[:1], array.shape).tobytes():
                raise ValueError("an expanded layout needs equal values along axis 0")
            return np.broadcast_to(np.array(array[:1], copy=True), array.shape)
