"""Find out what a file's get_inputs() makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.contract import DTYPES
from bnconform_adapters.memory import free_memory
from bnconform_adapters.own_input import LARGEST, OwnInput, Values

PART = 4
"""A quarter of the free memory may be used."""
BYTES = 256
"""Bytes for an element of x in a judged call with gradients in float32: up to 117 of the suite, 112 of the worker."""
SAMPLE = 4096
"""Number of values that decide the distribution."""
BETWEEN = 2.4
"""Kurtosis between that of a uniform distribution, 1.8, and that of a normal one, 3."""


def own_input(shape: Sequence[int], dtype: str, sample: NDArray[Any]) -> tuple[OwnInput | None, str]:
    """Return the input to judge a file at, or None and a remark why it is not judged.

    Parameters
    ----------
    shape : sequence of int
        Canonical shape of what get_inputs() makes.
    dtype : str
    sample : array
        Some of its values.

    Returns
    -------
    OwnInput or None
        The nearest input that fits into memory; None if its dtype or shape cannot be judged.
    str
        The remark; empty if it is judged.
    """
    if dtype not in DTYPES:
        return None, f"X9 is not judged: get_inputs() makes {dtype}, and the dtypes are {', '.join(DTYPES)}"
    if not math.prod(shape):
        return None, f"X9 is not judged: get_inputs() makes {list(shape)}, which has no values"
    made, wide = tuple(shape), 2 if dtype == "float64" else 1
    most = min(free_memory() // (PART * BYTES), LARGEST) // wide
    fitted = OwnInput(made, made, dtype, *distribution(sample)).fitted(most)
    if fitted.size > most:
        return None, f"X9 is not judged: get_inputs() makes {list(shape)}, and its channels alone take too much memory"
    return fitted, ""


def distribution(sample: NDArray[Any]) -> tuple[Values, float, float]:
    """Return the distribution of a sample: its kind, middle and scale, rounded.

    Values that are not finite, or all equal, count as standard normal: they could not show a fault.
    """
    wide = np.asarray(sample, np.float64).ravel()
    sd = float(wide.std()) if wide.size and np.isfinite(wide).all() else 0.0
    if not sd or not math.isfinite(sd):
        return "normal", 0.0, 1.0
    middle = float(wide.mean())
    if float((((wide - middle) / sd) ** 4).mean()) >= BETWEEN:
        return "normal", _rounded(middle, sd), _rounded(sd, sd)
    low, high = float(wide.min()), float(wide.max())
    low, high = _rounded(low, high - low), _rounded(high, high - low)
    return "uniform", (low + high) / 2, (high - low) / 2


def _rounded(value: float, size: float) -> float:
    """Round a number to two digits of a size."""
    return round(value, 1 - math.floor(math.log10(size)))
