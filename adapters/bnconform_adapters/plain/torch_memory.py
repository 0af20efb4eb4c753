"""PyTorch: tensors in the midst of other memory, on any device."""

import torch

from bnconform_adapters.plain.calling import place
from bnconform_adapters.plain.torch_tensors import tensor

AROUND = 32


def guarded(array, layout="contiguous", device="cpu"):
    """A tensor, or None, that lies in memory as `layout` says, between elements that are NaN; no view of another."""
    values = tensor(place(array, layout))
    if values is None or (layout == "far" and device == "cpu"):  # that one lies in NaN as it is
        return values
    strides, shape = values.stride(), values.shape
    length = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides)) if values.numel() else 0
    memory = torch.full((length + 2 * AROUND,), torch.nan, dtype=values.dtype, device=device)
    inside = torch.empty(0, dtype=values.dtype, device=device)
    inside.set_(memory.untyped_storage(), AROUND, shape, strides)
    written = slice(1) if layout == "expanded" else slice(None)
    inside[written].copy_(values[written])
    return inside


def overrun(tensor):
    """Whether memory around it was written, which was NaN: more elements are numbers than the tensor has."""
    memory = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(tensor.untyped_storage())
    own = tensor[:1] if tensor.stride(0) == 0 else tensor
    return memory.numel() < 2**32 and bool((~memory.isnan()).sum() > (~own.isnan()).sum())
