"""Arrays as Python text, bit for bit: in words if they have them, as numbers if exact and short, else as bytes."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from textwrap import wrap
from typing import Any

import numpy as np

from bnconform.cases.described import words_of
from bnconform_adapters.contract import DTYPES, AnyArray

READABLE = 64
"""Arrays of up to this many elements are written as numbers."""
_WIDTH = 100

DECODE = '''
def decode(text, dtype, shape):
    """Return an array from its bytes, compressed and in base64."""
    return np.frombuffer(zlib.decompress(b64decode(text)), dtype).reshape(shape).copy()
'''
"""Function that the text of :func:`literal` may need, besides ``np``, ``zlib``, ``b64decode`` and ``ml_dtypes``."""


def literal(array: AnyArray) -> str:
    """Return Python text that gives an array of the same dtype, shape and bits."""
    dtype = "ml_dtypes.bfloat16" if array.dtype.name == "bfloat16" else f"np.{array.dtype.name}"
    dtype = dtype.replace("np.bool", "bool")
    shape = tuple(int(size) for size in array.shape)
    if words := words_of(array):
        numbers = ", ".join(json.dumps(words[name]) for name in ("values", "middle", "scale", "order", "seed"))
        return f"drawn({shape}, {dtype}, {numbers})"
    if array.size == 0:
        return f"np.empty({shape}, {dtype})"
    if array.size <= READABLE and _comes_back(array):
        return f"np.array({_nested(array)}, {dtype})"
    text = b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    if len(text) <= _WIDTH:
        return f'decode("{text}", {dtype}, {shape})'
    lines = "\n".join(f'    "{line}"' for line in wrap(text, _WIDTH))
    return f"decode(\n{lines},\n    {dtype},\n    {shape},\n)"


def _comes_back(array: AnyArray) -> bool:
    values: Any = eval(_nested(array), {"np": np})  # as a script reads it
    again = np.array(values, array.dtype)
    return again.tobytes() == array.tobytes()


def _nested(array: AnyArray) -> str:
    if array.ndim == 0:
        return _number(array[()])
    return "[" + ", ".join(_nested(np.asarray(one)) for one in array) + "]"


def _number(value: Any) -> str:
    if isinstance(value, np.bool_):
        return str(bool(value))
    wide = float(value)
    if np.isnan(wide):
        return "np.nan"
    if np.isinf(wide):
        return "np.inf" if wide > 0 else "-np.inf"
    # A float32 has fewer digits of its own than as a float64.
    return repr(wide) if value.dtype == DTYPES["bfloat16"] else str(value)
