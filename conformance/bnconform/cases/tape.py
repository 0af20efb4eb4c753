"""Choices from a tape of bytes: one draw of Hypothesis instead of twenty.

Hypothesis spends its time per draw, and often copies one draw over another of the same kind, which makes examples
similar: with a draw for every choice, 400 cases had 160 different salts of 1000; chance gives 330. A tape is a single
draw. Byte 0 means the first alternative, so a tape of zeros is the simplest case, and shrinking lowers the bytes one by
one. Every choice has its own place, so it does not move when another choice vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

_SHAPE = 8
_NAMES = (
    *("dtype", "parameters", "signature", "dy", "dy_layout", "momentum", "eps", "values", "ratio", "spread"),
    *("weight", "bias", "statistics", "layout", "precise", "salt", "cotangents"),
)
_PLACES = {name: _SHAPE + i for i, name in enumerate(_NAMES)}
LENGTH = _SHAPE + len(_NAMES)
BYTE = 256

tapes: st.SearchStrategy[bytes] = st.binary(min_size=LENGTH, max_size=LENGTH)


class Tape:
    """Chooses among alternatives.

    Parameters
    ----------
    data : bytes
        Tape of :data:`LENGTH` bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._shape = iter(data[:_SHAPE])

    def choose(self, name: str, alternatives: Sequence[T]) -> T:
        """Return the alternative for the named choice; for names, see ``_NAMES``."""
        return _among(alternatives, self._data[_PLACES[name]])

    def choose_size(self, alternatives: Sequence[T]) -> T:
        """Return the next choice for the shape; there are at most eight."""
        return _among(alternatives, next(self._shape))

    def salt(self) -> int:
        """Return the salt, a number below 256."""
        return self._data[_PLACES["salt"]]


def _among(alternatives: Sequence[T], byte: int) -> T:
    return alternatives[byte * len(alternatives) // BYTE]
