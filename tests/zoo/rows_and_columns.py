"""What the steps compute on: rows and columns, and what they say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Rows: TypeAlias = NDArray[Any]
Column: TypeAlias = NDArray[Any]

ALL_DTYPES = ("float32", "float64", "float16", "bfloat16")
HALF_TOO = {"dtypes": ("float32", "float16", "bfloat16")}
DOUBLE_TOO = {"dtypes": ("float32", "float64")}


def claims(**values: Any) -> dict[str, Any]:
    """CLAIMS of an implementation that takes every dtype, no statistics, and eps = 0 where the variance is not 0."""
    return {"dtypes": ALL_DTYPES, "eps_min": 0.0, "untracked": True, "zero_channels": "empty"} | values


@dataclass(frozen=True)
class Saved:
    """What a training forward pass keeps for its backward pass."""

    x: Array
    weight: Array | None
    bias: Array | None
    mean: Column
    variance: Column
    invstd: Column
    eps: float


def values_per_channel(x: Array) -> int:
    """n: N times the product of the spatial axes."""
    return x.shape[0] * prod(x.shape[2:])


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """dtype in which sums over values of `dtype` run."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def column(vector: Array | None, rows: Rows, default: float) -> Column:
    """A per-channel vector beside rows; `default` everywhere where it is absent."""
    if vector is None:
        return np.full((len(rows), 1), default, rows.dtype)
    return vector.astype(rows.dtype).reshape(-1, 1)
