"""Convert axes for layers whose channels are last."""

import numpy as np


def channels_last(array):
    """Convert (N, C, *spatial) to (N, *spatial, C)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def channels_second(array):
    """Convert an array of any framework from (N, *spatial, C) to NumPy's (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(array), -1, 1))
