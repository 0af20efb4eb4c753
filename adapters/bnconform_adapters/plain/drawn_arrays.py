"""Large arrays that a few words describe."""

import math

import numpy as np


def drawn(shape, dtype, values, middle, scale, order, seed):
    """Draw an array (N, C, *spatial) of middle + scale * u, where u is "uniform" from -1 to 1, or standard "normal".

    With the order "placed", no regular part of a channel is a fair sample of it: the values rise in channels 0, 2, 4
    and so on; in the others, those at every second place are the smaller half, and so on for every fourth.
    """
    random, n = np.random.default_rng(seed), math.prod(shape) // shape[1]
    rows = random.uniform(-1, 1, (shape[1], n)) if values == "uniform" else random.standard_normal((shape[1], n))
    if order == "placed":
        rows.sort(axis=1)
        rows[1::2] = rows[1::2, np.argsort(np.argsort(reversed_bits(n)))]
    rows = (middle + scale * rows).reshape(shape[1], shape[0], *shape[2:])
    return np.ascontiguousarray(rows.swapaxes(0, 1)).astype(dtype)


def reversed_bits(n):
    """Return the numbers below n with their bits in reverse."""
    numbers, found = np.arange(n), np.zeros(n, np.int64)
    for bit in range(max(n - 1, 1).bit_length()):
        found = 2 * found + (numbers >> bit & 1)
    return found
