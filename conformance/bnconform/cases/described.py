"""Arrays that remember how they were drawn: a case file or a script holds a few words instead of their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from bnconform_adapters.contract import DTYPES
from bnconform_adapters.own_input import LARGEST, Values
from bnconform_adapters.plain.drawn_arrays import drawn
from bnconform_reference.precision import DtypeName


class Described(np.ndarray[Any, np.dtype[Any]]):
    """A read-only array, and the arguments of `drawn` that made it; arrays computed from it have none.

    Attributes
    ----------
    words : mapping or None
        Arguments of :func:`described`.
    """

    words: Mapping[str, Any] | None

    def __array_finalize__(self, obj: object) -> None:
        self.words = None


@lru_cache(maxsize=3)
def described(
    shape: tuple[int, ...], dtype: DtypeName, values: Values, middle: float, scale: float, order: str, seed: int
) -> Described:
    """Draw an array, see :func:`bnconform_adapters.plain.drawn_arrays.drawn`.

    Raises
    ------
    ValueError
        The array would be larger than any that the suite draws.
    """
    if len(shape) < 2 or min(shape) < 1 or np.prod(shape, dtype=float) > LARGEST:
        raise ValueError(f"shape {shape}")
    array: Described = drawn(shape, DTYPES[dtype], values, middle, scale, order, seed).view(Described)
    array.words = {
        "shape": shape,
        "dtype": dtype,
        "values": values,
        "middle": middle,
        "scale": scale,
        "order": order,
        "seed": seed,
    }
    array.flags.writeable = False
    return array


def words_of(array: object) -> Mapping[str, Any] | None:
    """Return the arguments of :func:`described` that give this array; None for any other array."""
    return array.words if isinstance(array, Described) else None
