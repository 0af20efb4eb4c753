"""Conversions between arrays (N, C, *spatial) and the reference's rows, one for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def channel_rows(x: NDArray[Any]) -> NDArray[np.float64]:
    """Turn (N, C, *spatial) into contiguous float64 rows (C, n), n = N times the product of spatial.

    Raises
    ------
    ValueError
        `x` has fewer than two axes.
    """
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; pass (N, C) or (N, C, *spatial)")
    n = x.shape[0] * int(np.prod(x.shape[2:]))  # computed, since NumPy cannot infer -1 if C = 0
    # float16, float32 and bfloat16 widen to float64 without rounding.
    return np.ascontiguousarray(x.swapaxes(0, 1).reshape(x.shape[1], n), dtype=np.float64)


def from_channel_rows(rows: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Turn rows (C, n) back into (N, C, *spatial)."""
    moved = rows.reshape(shape[1], shape[0], *shape[2:])
    return np.ascontiguousarray(moved.swapaxes(0, 1))


def channel_column(parameter: NDArray[Any] | None, channels: int, default: float) -> NDArray[np.float64]:
    """Turn a per-channel vector (C,), or None for `default` everywhere, into a float64 column (C, 1).

    Raises
    ------
    ValueError
        `parameter` does not have shape (C,).
    """
    if parameter is None:
        return np.full((channels, 1), default)
    if parameter.shape != (channels,):
        raise ValueError(f"a per-channel parameter has shape {parameter.shape}; x needs ({channels},)")
    return parameter.astype(np.float64).reshape(channels, 1)
