"""The layout "far": rows that lie further apart than 32 bits reach, on the host and on a device."""

from __future__ import annotations

import numpy as np
import pytest

from bnconform_adapters.memory import far_memory
from bnconform_adapters.plain import calling
from bnconform_adapters.plain.calling import AROUND, FAR, far_strides, overrun, place, surroundings
from bnconform_adapters.torch import layouts_on

SHAPES = ((2, 3), (3, 2, 4), (1, 3, 2, 2), (2, 1, 1, 1, 5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_keep_their_values_and_reach_past_32_bits(shape: tuple[int, ...], dtype: type) -> None:
    """The last row begins 2^32 elements or more behind the first."""
    assert far_memory()
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    placed = place(array, "far")
    assert (placed == array).all()
    steps = [(size - 1) * stride // array.itemsize for size, stride in zip(shape, placed.strides, strict=True)]
    assert max(steps) >= FAR > 2**32
    assert not overrun(placed)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_writing_beside_a_row_is_seen(row: int) -> None:
    """The elements just before and just behind each row are watched."""
    for side in (-1, 4):
        placed = place(np.ones((3, 4), np.float32), "far")
        strides, _ = far_strides((3, 4))
        memory, before = surroundings(placed)
        memory[before + row * strides[0] + side] = 0
        assert overrun(placed)


def test_one_element_lies_as_ever() -> None:
    """Nothing is apart where there is a single element."""
    memory, _ = surroundings(place(np.ones((1, 1), np.float32), "far"))
    assert memory.size < FAR


def test_device_memory_is_laid_out_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device rows have the same strides, values and watched zones; here with rows that are not so far apart."""
    torch = pytest.importorskip("torch")
    from bnconform_adapters.torch import tensors

    for module in (calling, tensors):
        monkeypatch.setattr(module, "FAR", 1000)
    array = np.arange(24, dtype=np.float32).reshape(1, 3, 8)
    placed = tensors.laid_out_far(array, "cpu")
    assert placed.stride(1) == far_strides(array.shape)[0][1] == 500
    assert (placed.numpy() == array).all()
    assert not tensors.tensor_overrun(placed)
    for zone in (-1, 8):
        spoilt = tensors.laid_out_far(array, "cpu")
        memory = torch.empty(0).set_(spoilt.untyped_storage())
        memory[AROUND + 1000 + zone] = 1.0
        assert tensors.tensor_overrun(spoilt)


def test_a_device_is_asked_for_gigabytes_only_on_request() -> None:
    """The layout is claimed by default on the CPU alone, where untouched memory costs nothing."""
    assert "far" in layouts_on("cpu")
    assert "far" not in layouts_on("cuda")
