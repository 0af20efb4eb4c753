"""Axes of layers whose channels are last."""

import numpy as np


def channels_last(array):
    """(N, C, *spatial) as (N, *spatial, C)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def channels_second(array):
    """(N, *spatial, C) of any framework that converts to NumPy, as (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(array), -1, 1))
