"""Regimes of x: distributions of a channel's values before they are scaled and shifted.

Each regime turns a generator and a shape into rows (C, n) of spread about 1 around 0. Only `digits` returns real data,
unchanged, and only `digits` and `across_space` depend on the axes of x.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.digits import everything

Rows = NDArray[np.float64]

IMAGES, PIXELS = 256, 64


def _normal(rng: np.random.Generator, channels: int, n: int) -> Rows:
    return rng.standard_normal((channels, n))


def _sorted(rng: np.random.Generator, channels: int, n: int) -> Rows:
    """Draw sorted values, the worst for running means: the errors of successive updates have one sign."""
    return np.sort(_normal(rng, channels, n), axis=1)


def _two_valued(rng: np.random.Generator, channels: int, n: int) -> Rows:
    return np.where(np.arange(n) < rng.integers(1, max(n, 2), (channels, 1)), -1.0, 1.0)


def _outlier(rng: np.random.Generator, channels: int, n: int) -> Rows:
    """Draw one value at 30 times the spread of the others."""
    rows = _normal(rng, channels, n)
    if n:
        rows[np.arange(channels), rng.integers(0, n, channels)] = 30.0
    return rows


def _constant(rng: np.random.Generator, channels: int, n: int) -> Rows:
    return np.zeros((channels, n))


def _one_dead(rng: np.random.Generator, channels: int, n: int) -> Rows:
    """Draw one channel of zeros among others, as behind a ReLU that never fires."""
    rows = _normal(rng, channels, n)
    if channels > 1:
        rows[rng.integers(channels)] = 0.0
    return rows


def _balanced(rng: np.random.Generator, channels: int, n: int) -> Rows:
    """Draw equally many -1 and 1: with a round shift, sums in any order, mean and variance are exact."""
    signs = np.where(np.arange(n) % 2 == 0, -1.0, 1.0)
    return np.stack([rng.permutation(signs) for _ in range(channels)]) if channels else np.zeros((0, n))


REGIMES: dict[str, Callable[[np.random.Generator, int, int], Rows]] = {
    "normal": _normal,
    "sorted": _sorted,
    "two_valued": _two_valued,
    "outlier": _outlier,
    "constant": _constant,
    "balanced": _balanced,
    "one_dead": _one_dead,
}


def across_space(rng: np.random.Generator, channels: int, samples: int, positions: int) -> Rows:
    """Draw values that rise from position to position of the space, so that no position can be left out unseen."""
    rising = _sorted(rng, channels, positions * samples).reshape(channels, positions, samples)
    return np.ascontiguousarray(rising.swapaxes(1, 2)).reshape(channels, samples * positions)


@cache
def digit_images() -> NDArray[np.float64]:
    """Return the first 256 images of scikit-learn's digits, shape (256, 8, 8), grey values 0 to 16."""
    return everything().images[:IMAGES]


def digits(rng: np.random.Generator, shape: tuple[int, ...]) -> Rows:
    """Return activations of scikit-learn's digits behind a fixed random layer, rows (C, n) for x of `shape`.

    Rank 2 uses a dense layer. Higher ranks use a 3x3 convolution, whose 64 positions fill the spatial axes in order.
    Images and positions repeat if the shape has more.
    """
    samples, channels = shape[:2]
    positions = int(np.prod(shape[2:], dtype=np.int64))
    weights = np.random.default_rng(1989)  # the layer is the same in every case
    images = digit_images()[(rng.integers(0, IMAGES) + np.arange(samples)) % IMAGES]
    if len(shape) == 2:
        dense = weights.standard_normal((channels, PIXELS)) / 8
        return np.asarray(dense @ images.reshape(samples, PIXELS).T)
    kernels = weights.standard_normal((channels, 9)) / 3
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2)).reshape(samples, PIXELS, 9)
    maps = windows[:, np.arange(positions) % PIXELS] @ kernels.T
    return np.ascontiguousarray(maps.reshape(samples * positions, channels).T)
