"""Memory traffic of the kernels: count loaded and stored bytes in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import runtime


@dataclass
class Traffic:
    """Numbers of bytes that unmasked lanes loaded and stored."""

    loaded: int = 0
    stored: int = 0

    @property
    def moved(self) -> int:
        """Number of bytes loaded and stored."""
        return self.loaded + self.stored


@contextmanager
def counted_traffic() -> Iterator[Traffic]:
    """Count what kernels load and store while the context is open.

    Raises
    ------
    RuntimeError
        Kernels are compiled in this process; only the interpreter can count.
    """
    if not runtime.interpreted:
        raise RuntimeError("traffic is counted in the interpreter: set TRITON_INTERPRET=1 before the start")
    from triton.runtime import interpreter

    traffic = Traffic()
    original = interpreter._interpreter

    class Counting:
        """The interpreter's memory functions, with counters."""

        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

        def load(self, pointers: Any, mask: Any, other: Any, dtype: Any) -> Any:
            traffic.loaded += int(np.count_nonzero(mask)) * np.dtype(dtype).itemsize
            return original.load(pointers, mask, other, dtype)

        def store(self, pointers: Any, value: Any, mask: Any) -> Any:
            traffic.stored += int(np.count_nonzero(mask)) * value.dtype.itemsize
            return original.store(pointers, value, mask)

    interpreter._interpreter = Counting()
    try:
        yield traffic
    finally:
        interpreter._interpreter = original


@dataclass(frozen=True)
class Pass:
    """A pass of the kernel, and its minimum number of transfers.

    ``minimum`` counts reads and writes of whole tensors: x, dy, y, dx, the residual, its gradient.
    With a residual, the gate of ReLU is y itself, which is read once.
    """

    name: str
    on_chip: bool
    minimum: int
    training: bool = True
    backward: bool = False
    relu: bool = False
    residual: bool = False
    parameters: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """A shape whose channels do or do not fit on chip."""
        return (8, 4, 32, 32) if self.on_chip else (8, 4, 64, 64)


PASSES = (
    Pass("training forward", True, 2),  # x -> y
    Pass("training forward", False, 3),  # x; x -> y
    Pass("training forward, residual, ReLU", True, 3, relu=True, residual=True),
    Pass("training forward, residual, ReLU", False, 4, relu=True, residual=True),
    Pass("training backward", True, 3, backward=True),  # dy, x -> dx
    Pass("training backward", False, 5, backward=True),  # dy, x; dy, x -> dx
    Pass("training backward, ReLU", True, 3, backward=True, relu=True),
    Pass("training backward, ReLU", False, 5, backward=True, relu=True),
    # dy, x, y -> dx, dresidual
    Pass("training backward, residual, ReLU", True, 5, backward=True, relu=True, residual=True),
    # dy, x, y -> dresidual; dresidual, x -> dx
    Pass("training backward, residual, ReLU", False, 7, backward=True, relu=True, residual=True),
    Pass("inference forward", False, 2, training=False),
    Pass("inference forward, residual, ReLU", False, 3, training=False, relu=True, residual=True),
    Pass("inference backward", False, 3, training=False, backward=True),  # dy, x -> dx
    Pass("inference backward, dx only", False, 2, training=False, backward=True, parameters=False),
)


def transfers(work: Pass, dtype: str, *, channels_last: bool) -> float:
    """Count the bytes that a pass moves, in units of the bytes of x.

    The result exceeds a whole number by per-channel vectors and partial results.
    """
    import torch

    from .function import fused_batch_norm

    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, residual, dy = (torch.randn(work.shape).to(getattr(torch, dtype), memory_format=layout) for _ in range(3))
    leaves = [x.requires_grad_()]
    per_channel = torch.float64 if dtype == "float64" else torch.float32
    weight, bias, mean, var = torch.ones(4, x.shape[1], dtype=per_channel).unbind()
    if work.parameters:
        leaves += [weight.requires_grad_(), bias.requires_grad_()]
    if work.residual:
        leaves.append(residual.requires_grad_())
    with counted_traffic() as forward:
        y = fused_batch_norm(
            x, weight, bias, mean, var, training=work.training,
            residual=residual if work.residual else None, relu=work.relu,
        )  # fmt: skip
    with counted_traffic() as backward:
        torch.autograd.grad(y, leaves, dy)
    moved = backward.moved if work.backward else forward.moved
    return moved / int(x.numel() * x.element_size())
