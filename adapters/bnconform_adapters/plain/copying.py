"""Simpler placement of arrays, for scripts with contiguous arrays only that do not check memory around them."""

from bnconform_adapters.torch.tensors import tensor


def place(array, layout="contiguous"):
    """Copy the array; None stays None."""
    return None if array is None else array.copy()


def laid_out(array, layout="contiguous", device="cpu"):
    """Copy the array to a tensor; None stays None."""
    return None if array is None else tensor(array.copy()).to(device)
