"""scikit-learn's digits: 1797 images of 8 x 8 grey values from 0 to 16, and their labels.

This is the test set of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI Machine Learning
Repository, 1998), under CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
SIDE = 8
PIXELS = SIDE * SIDE
HELD_OUT = 450
"""Number of last images, never trained on; samples seem to be in order of writers, so these are by other writers."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images with their labels.

    Attributes
    ----------
    images : float64 array, shape (N, 8, 8)
        Grey values from 0 to 16.
    labels : int array, shape (N,)
    """

    images: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Digits:
        """Return a selection, as NumPy indexes the first axis."""
        return Digits(self.images[index], self.labels[index])


@cache
def everything() -> Digits:
    """Return all 1797 digits, in scikit-learn's order."""
    with (
        (resources.files("bnconform") / "data" / "digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return Digits(arrays["images"].astype(np.float64), arrays["labels"].astype(np.int64))


def to_train_on() -> Digits:
    """Return all digits except the last 450."""
    return everything()[:-HELD_OUT]


def held_out() -> Digits:
    """Return the last 450 digits."""
    return everything()[-HELD_OUT:]
