"""The layout "far": rows that lie further apart than 32 bits reach, on the host and on a device."""

from __future__ import annotations

import numpy as np
import pytest

from bnconform_adapters import memory, torch_arrays
from bnconform_adapters.memory import FAR, far_memory, far_strides, place

SHAPES = ((2, 3), (3, 2, 4), (1, 3, 2, 2), (2, 1, 1, 1, 5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_keep_their_values_and_reach_past_32_bits(shape: tuple[int, ...], dtype: type) -> None:
    """The last row begins 2^32 elements or more behind the first."""
    assert far_memory()
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    placed = place(array, "far")
    assert (placed.array == array).all()
    steps = [(size - 1) * stride // array.itemsize for size, stride in zip(shape, placed.array.strides, strict=True)]
    assert max(steps) >= FAR > 2**32
    assert not placed.overrun()


@pytest.mark.parametrize("row", [0, 1, 2])
def test_writing_beside_a_row_is_seen(row: int) -> None:
    """The elements just before and just behind each row are watched."""
    for side in (-1, 4):
        placed = place(np.ones((3, 4), np.float32), "far")
        strides, _ = far_strides((3, 4))
        placed.buffer[placed.offset + row * strides[0] + side] = 0
        assert placed.overrun()


def test_one_element_lies_as_ever() -> None:
    """Nothing is apart where there is a single element."""
    assert place(np.ones((1, 1), np.float32), "far").buffer.size < FAR


def test_device_memory_is_laid_out_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device rows have the same strides, values and watched zones; here with rows that are not so far apart."""
    pytest.importorskip("torch")
    monkeypatch.setattr(memory, "FAR", 1000)
    array = np.arange(24, dtype=np.float32).reshape(1, 3, 8)
    tensor = torch_arrays.FarTensor.place(array, "cpu")
    assert tensor.array.stride(1) == far_strides(array.shape)[0][1] == 500
    assert (tensor.array.numpy() == array).all()
    assert not tensor.overrun()
    for zone in (-1, 8):
        spoilt = torch_arrays.FarTensor.place(array, "cpu")
        spoilt._buffer[memory.GUARD + 1000 + zone] = 1.0
        assert spoilt.overrun()


def test_a_device_is_asked_for_gigabytes_only_on_request() -> None:
    """The layout is claimed by default on the CPU alone, where untouched memory costs nothing."""
    assert "far" in torch_arrays.layouts_on("cpu")
    assert "far" not in torch_arrays.layouts_on("cuda")
