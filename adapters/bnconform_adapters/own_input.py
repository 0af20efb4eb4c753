"""The x that a candidate file's get_inputs() makes: its shape, its dtype and the distribution of its values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bnconform_reference.precision import DtypeName

Values: TypeAlias = Literal["uniform", "normal"]

LARGEST = 1 << 23
"""Largest number of elements of an x that is judged. A worker grows by up to 112 bytes for each in float32, measured
with torch's composed operations: half of the 2 GiB by which it may grow. A case takes some 2 s."""


@dataclass(frozen=True)
class OwnInput:
    """An x of a candidate file.

    Attributes
    ----------
    shape : tuple of int
        Canonical shape (N, C, *spatial).
    dtype : str
    values : str
        Distribution of its values: "uniform" on middle - scale to middle + scale, or "normal" with the standard
        deviation scale.
    middle, scale : float
    made : tuple of int
        Canonical shape of what get_inputs() really makes; `shape` is smaller if that is too large to judge.
    """

    shape: tuple[int, ...]
    made: tuple[int, ...]
    dtype: DtypeName = "float32"
    values: Values = "uniform"
    middle: float = 0.5
    scale: float = 0.5

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def values_per_channel(self) -> int:
        """Number of values per channel, n."""
        return self.size // self.shape[1]

    def fitted(self, most: int) -> OwnInput:
        """Return the input with at most `most` elements: the batch is halved, then the longest axis of space.

        All channels stay, and two values of each, so the result can be larger than `most`.
        """
        batch, channels, *space = self.shape
        while batch * channels * math.prod(space) > most and batch * math.prod(space) > 3:
            if batch > 1:
                batch //= 2
            else:
                space[space.index(max(space))] //= 2
        return replace(self, shape=(batch, channels, *space))

    def __str__(self) -> str:
        if self.values == "uniform":
            lie = f"uniform from {self.middle - self.scale:.6g} to {self.middle + self.scale:.6g}"
        else:
            lie = f"normal with mean {self.middle:g} and sd {self.scale:g}"
        text = f"{self.dtype} {list(self.shape)}, {lie}"
        if self.shape == self.made:
            return f"{text}, as get_inputs() makes it"
        return f"{text}; get_inputs() makes {list(self.made)}, too large for the memory or the time"
