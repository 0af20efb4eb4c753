"""What the PyTorch adapters share: tensors from arrays, and arrays from tensors."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from bnconform_adapters.contract import AnyArray


def to_tensor(array: AnyArray) -> Any:
    """A tensor that shares the array's memory and strides, bfloat16 included."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: Any) -> AnyArray | None:
    """A contiguous copy of a tensor, or None."""
    import torch

    if tensor is None:
        return None
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return np.array(tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.array(tensor.numpy())


def writable(array: AnyArray) -> AnyArray:
    """The array, or a view of a copy with the same strides where it is read-only.

    torch warns about read-only memory; an expanded view is read-only in NumPy only by caution.
    """
    if not array.flags.writeable:
        return np.lib.stride_tricks.as_strided(np.array(array[:1]), array.shape, array.strides)
    return array
