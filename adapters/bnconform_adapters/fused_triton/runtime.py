"""Run kernels: compiled on a GPU, or in Triton's interpreter on any CPU.

This module decides once, when it is imported. ``TRITON_INTERPRET`` decides if it is set (``0`` forces
compilation, which the ahead-of-time checks use without a GPU). Otherwise kernels are compiled if a GPU
is present. The environment is only read, never written. So ``triton.jit`` of other packages in the
process does not change, and any package may import Triton first.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl

__all__ = ["device_function", "float_bits", "interpreted", "kernel", "launch", "recorded_launches", "tl"]

interpreted: bool = (
    triton.knobs.runtime.interpret if "TRITON_INTERPRET" in os.environ else not torch.cuda.is_available()
)
"""Whether kernels run in Triton's interpreter rather than compiled on a GPU."""


class Launch(NamedTuple):
    """A launch that `recorded_launches` recorded instead of running it."""

    function: Any
    programs: int
    warps: int
    arguments: dict[str, Any]


_recording: list[Launch] | None = None

# Without fused multiply-adds, the on-chip and the split kernels round equally, and the backward pass
# recomputes the same sign for ReLU as the forward pass.
COMPILE_OPTIONS = {"enable_fp_fusion": False}

# The interpreter replaces functions of triton.language while a kernel runs, and stores the grid
# position in a global: two threads at once would disturb each other.
_interpreter_lock = threading.Lock()


def kernel(function: Callable[..., None]) -> Any:
    """Decorate a function that is launched over a grid.

    Arguments named ``*_bits`` contain floats (see `float_bits`); Triton never specialises on them.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    floats = [name for name in names if name.endswith("_bits")]
    if interpreted:
        from triton.runtime.interpreter import InterpretedFunction

        return InterpretedFunction(function, do_not_specialize=floats)
    return triton.jit(function, do_not_specialize=floats)


def device_function(function: Callable[..., Any]) -> Any:
    """Decorate a function that kernels call.

    In the interpreter the function stays plain: if wrapped, each call would patch
    ``triton.language`` again, which takes longer than the call itself.
    """
    return function if interpreted else triton.jit(function)


def float_bits(value: float) -> int:
    """Return the bit pattern of a float64 as a signed int64.

    Triton passes Python floats as float32, in which ``1e-5`` has a relative error of 2e-8: too much for
    a float64 kernel. An integer is passed exactly; ``device_functions.float_argument`` converts it back.
    """
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits


def launch(function: Any, programs: int, warps: int, device: torch.device, **arguments: Any) -> None:
    """Run ``programs`` instances of a kernel."""
    if _recording is not None:
        _recording.append(Launch(function, programs, warps, arguments))
        return
    if interpreted:
        with _interpreter_lock, np.errstate(all="ignore"):  # Inf and NaN are data here
            function[(programs,)](**arguments)
        return
    guard: AbstractContextManager[Any] = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    with guard:
        function[(programs,)](**arguments, num_warps=warps, **COMPILE_OPTIONS)


@contextmanager
def recorded_launches() -> Iterator[list[Launch]]:
    """Record launches instead of running them, for ahead-of-time compilation."""
    global _recording
    _recording = []
    try:
        yield _recording
    finally:
        _recording = None
