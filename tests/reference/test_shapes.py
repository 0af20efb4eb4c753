"""Channels as rows and back."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows

SHAPES = [(4, 3), (4, 3, 5), (2, 3, 4, 5), (2, 1, 2, 3, 4), (0, 3), (2, 3, 0), (4, 0), (4, 0, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_turn_back_into_their_array(shape: tuple[int, ...]) -> None:
    """from_channel_rows undoes channel_rows for any shape, empty ones included."""
    x = np.arange(float(np.prod(shape))).reshape(shape)
    rows = channel_rows(x)
    assert rows.shape == (shape[1], np.prod(shape) // shape[1] if shape[1] else np.prod((shape[0], *shape[2:])))
    np.testing.assert_array_equal(from_channel_rows(rows, shape), x)


def test_each_row_holds_one_channel() -> None:
    """Row c is x[:, c] in order, whatever the memory layout of x."""
    x = np.arange(24.0).reshape(2, 3, 4)
    for layout in (x, np.asfortranarray(x), x[::-1, :, ::-1]):
        for channel, row in enumerate(channel_rows(layout)):
            np.testing.assert_array_equal(row, layout[:, channel].ravel())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_rows_widen_without_rounding(dtype: type) -> None:
    """Every value of a narrower type, subnormal ones included, survives the way to float64."""
    x = np.array([[0.1], [-3.0], [6e-8]]).astype(dtype)
    assert channel_rows(x).dtype == np.float64
    np.testing.assert_array_equal(channel_rows(x)[0].astype(dtype), x[:, 0])


def test_array_without_channels_is_refused() -> None:
    """One axis is not enough for batch and channels."""
    with pytest.raises(ValueError, match=r"x has shape \(4,\); pass \(N, C\) or \(N, C, \*spatial\)"):
        channel_rows(np.zeros(4))


def test_missing_parameter_is_its_default() -> None:
    """None stands for the default in every channel."""
    assert channel_column(None, 2, 1.0).tolist() == [[1.0], [1.0]]


def test_parameter_of_another_shape_is_refused() -> None:
    """A per-channel vector has one value a channel; nothing broadcasts."""
    with pytest.raises(ValueError, match=r"a per-channel parameter has shape \(1,\); x needs \(3,\)"):
        channel_column(np.ones(1), 3, 1.0)
