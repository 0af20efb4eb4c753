"""For scripts whose arrays are all contiguous, where it does not matter what is around them."""

from bnconform_adapters.torch.tensors import tensor


def place(array, layout="contiguous"):
    """A copy of the array, or None."""
    return None if array is None else array.copy()


def laid_out(array, layout="contiguous", device="cpu"):
    """A tensor with a copy of the array, or None."""
    return None if array is None else tensor(array.copy()).to(device)
