"""Simpler placement of arrays, for scripts with contiguous arrays only that check memory around them."""

import numpy as np


def place(array, layout="contiguous"):
    """Copy the array into memory full of NaN; None stays None."""
    if array is None:
        return None
    memory = np.full(array.size + 64, np.nan, array.dtype)
    memory[32:-32] = array.ravel()
    return memory[32:-32].reshape(array.shape)
