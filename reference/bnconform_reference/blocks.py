"""Split large arrays by channels, so that intermediate arrays of a formula fit in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from bnconform_reference.double_double import Array, DoubleDouble

F = TypeVar("F", bound=Callable[..., Any])

BLOCK = 1 << 15
"""Number of elements in a block: a formula uses about ten arrays at a time, each of 256 KiB in float64."""


def by_blocks(function: F) -> F:
    """Call a function of rows block by block if there are many channels; bits stay equal, as channels are independent.

    The function's first argument is an array of rows (C, n). Other arguments that are arrays, double-doubles, or
    dataclasses of these, have one row for each channel. So have the results.
    """

    @wraps(function)
    def blockwise(rows: Array, *others: Any, **options: Any) -> Any:
        channels, n = rows.shape
        step = max(1, BLOCK // max(n, 1))
        if channels <= step:
            return function(rows, *others, **options)
        cuts = [slice(i, i + step) for i in range(0, channels, step)]
        return _joined([function(rows[cut], *(_cut(other, cut) for other in others), **options) for cut in cuts])

    return cast(F, blockwise)


def _cut(value: Any, cut: slice) -> Any:
    if isinstance(value, np.ndarray):
        return value[cut]
    if isinstance(value, DoubleDouble):
        return DoubleDouble(value.hi[cut], value.lo[cut])
    if _is_record(value):
        return type(value)(*(_cut(getattr(value, field.name), cut) for field in fields(value)))
    return value


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, DoubleDouble):
        return DoubleDouble(np.concatenate([one.hi for one in parts]), np.concatenate([one.lo for one in parts]))
    return type(first)(*(_joined([getattr(one, field.name) for one in parts]) for field in fields(first)))


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and all(
        isinstance(getattr(value, field.name), np.ndarray | DoubleDouble) for field in fields(value)
    )
