"""Room on CPython's stack of frames, so that no call deep below has to fetch memory for its frame.

From 3.11 on, frames lie in chunks of 16 KiB, and a chunk is given back as soon as its last frame returns: a call that
happens to cross into the next one costs two system calls and a page fault, each time. Under pytest and Hypothesis, some
fifty frames deep, Triton's interpreter spent more time on that than on the kernel. A frame that is too large for a
chunk gets one of a power of two that holds it, and what is left of that is for the frames above it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

WORDS = (1 << 14) + 256
"""Of the large frame: a little more than half of its chunk of 256 KiB; the rest holds hundreds of frames."""


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, called from a large frame; nothing else about it changes."""

    def call(*arguments: P.args, **options: P.kwargs) -> R:
        return function(*arguments, **options)

    wide = FunctionType(
        call.__code__.replace(co_stacksize=WORDS), call.__globals__, call.__name__, None, call.__closure__
    )
    return wraps(function)(wide)
