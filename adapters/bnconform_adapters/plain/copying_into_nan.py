"""For scripts whose arrays are all contiguous, where it matters what is around them."""

import numpy as np


def place(array, layout="contiguous"):
    """A copy of the array, or None; around it is NaN."""
    if array is None:
        return None
    memory = np.full(array.size + 64, np.nan, array.dtype)
    memory[32:-32] = array.ravel()
    return memory[32:-32].reshape(array.shape)
