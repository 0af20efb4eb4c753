"""Bytes moved, counted in the interpreter, beside the fewest possible."""

from __future__ import annotations

import pytest

from bnconform_adapters.fused_triton import interpreted
from bnconform_adapters.fused_triton.traffic import PASSES, Pass, transfers

# Per channel a program touches at most this many values of 8 bytes: parameters, statistics, partial results,
# gradients. Its tile has 4 channels here and 32768 values of 2 bytes or more.
VECTORS = 16
DTYPES = ("float16", "float32", "float64")
OVERHEAD = VECTORS * 8 * 4 / (32768 * 2)  # in units of x

# Channels this long do not fit on chip where they are interleaved. Passes and layouts take turns with the dtypes.
WORKS = [
    pytest.param(
        work, last, DTYPES[(i + last) % 3],
        id=f"{work.name}-{'on chip' if work.on_chip else 'split'}-{'nhwc' if last else 'nchw'}",
    )
    for i, work in enumerate(PASSES)
    for last in (False, True)
    if not (work.on_chip and last)
]  # fmt: skip


@pytest.mark.skipif(not interpreted, reason="only the interpreter can be watched")
@pytest.mark.parametrize(("work", "channels_last", "dtype"), WORKS)
def test_no_pass_moves_more_than_it_must(work: Pass, channels_last: bool, dtype: str) -> None:
    """Each tensor is read and written as often as the minimum says, no more and no less."""
    counted = transfers(work, dtype, channels_last=channels_last)
    assert work.minimum <= counted <= work.minimum + OVERHEAD
