"""What the PyTorch adapters share: tensors from arrays, arrays from tensors, and tensors in guarded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from bnconform_adapters.contract import AnyArray, Layout
from bnconform_adapters.memory import GUARD, FarPlaced, Placed, far_strides, outermost, place

LAYOUTS: tuple[Layout, ...] = ("contiguous", "channels_last", "transposed", "sliced", "expanded", "far")
"""A tensor has no negative strides."""


def layouts_on(device: str) -> tuple[Layout, ...]:
    """Layouts to claim where nothing is stated: "far" takes gigabytes of a device's memory and must be asked for."""
    return LAYOUTS if device == "cpu" else tuple(layout for layout in LAYOUTS if layout != "far")


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


@dataclass(frozen=True)
class PlacedTensor:
    """A tensor in a layout, and the memory around it, both on one device.

    Attributes
    ----------
    array : tensor
        What the implementation is given.
    """

    array: Any
    _placed: Placed | FarPlaced
    _buffer: Any

    def overrun(self) -> bool:
        """Whether memory outside the tensor was written."""
        if self._buffer.device.type != "cpu":  # there it is the same memory
            self._placed.buffer[...] = to_array(self._buffer)
        return self._placed.overrun()


@dataclass(frozen=True)
class FarTensor:
    """A tensor in the layout "far" in a device's memory, where all that lies between has to be there, too.

    Attributes
    ----------
    array : tensor
        What the implementation is given.
    """

    array: Any
    _buffer: Any
    _before: tuple[tuple[int, Any], ...]

    @classmethod
    def place(cls, array: AnyArray, device: str) -> FarTensor:
        """Put a copy of `array` into memory of its own."""
        import torch

        values = to_tensor(array.copy())
        strides, elements = far_strides(array.shape)
        buffer = torch.empty(elements, dtype=values.dtype, device=device)
        far = torch.empty(0, dtype=values.dtype, device=device)
        far = far.set_(buffer.untyped_storage(), GUARD, array.shape, strides)
        axis = outermost(array.shape)
        rows, row = array.shape[axis], array[(0,) * (axis + 1)].size
        zones = [i * strides[axis] + side for i in range(rows) for side in (0, GUARD + row)]
        for begin in zones:
            buffer[begin : begin + GUARD] = torch.nan
        far.copy_(values)
        return cls(far, buffer, tuple((begin, _bits(buffer[begin : begin + GUARD])) for begin in zones))

    def overrun(self) -> bool:
        """Whether memory beside a row was written."""
        return any(_bits(self._buffer[begin : begin + GUARD]) != bits for begin, bits in self._before)


def _bits(tensor: Any) -> bytes:
    array = to_array(tensor)
    assert array is not None
    return array.tobytes()


def place_tensor(array: AnyArray, layout: Layout = "contiguous", device: str = "cpu") -> PlacedTensor | FarTensor:
    """Put a copy of `array` into guarded memory of a device, see :func:`~bnconform_adapters.memory.place`.

    The tensor is a leaf and no view, so that automatic differentiation treats it as any other.
    """
    import torch

    if layout == "far" and array.size > 1 and device != "cpu":
        return FarTensor.place(array, device)
    placed = place(array, layout)
    buffer = to_tensor(placed.buffer).to(device)
    strides = [stride // placed.buffer.itemsize for stride in placed.array.strides]
    empty = torch.empty(0, dtype=buffer.dtype, device=buffer.device)
    tensor = empty.set_(buffer.untyped_storage(), placed.offset, placed.array.shape, strides)
    return PlacedTensor(tensor, placed, buffer)


def shared_storage(results: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Which results share storage with an input or with one another, as "y and x"."""
    given = [(name, t) for name, t in results.items() if t is not None and t.numel()]
    others = given + [(name, t) for name, t in inputs.items() if t is not None and t.numel()]
    return tuple(
        f"{name} and {other}"
        for i, (name, tensor) in enumerate(given)
        for other, memory in others[i + 1 :]
        if tensor.untyped_storage().data_ptr() == memory.untyped_storage().data_ptr()
    )
