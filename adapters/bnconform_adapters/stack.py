"""A large frame on CPython's stack, so that the calls inside it allocate no memory for their frames.

From 3.11 on, CPython stores frames in chunks of 16 KiB and frees a chunk as soon as its last frame returns. A call that
crosses into the next chunk therefore costs two system calls and a page fault, each time. Under pytest and Hypothesis,
some fifty frames deep, Triton's interpreter spent more time on that than on the kernel. A frame that is too large for a
chunk gets a larger chunk, of a power of two; the frames above use the rest of that chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

WORDS = (1 << 14) + 256
"""Size of the large frame: a little more than half of its chunk of 256 KiB. The rest holds hundreds of frames."""


def with_room(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` wrapped so that a large frame calls it; nothing else changes."""

    def call(*arguments: P.args, **options: P.kwargs) -> R:
        return function(*arguments, **options)

    wide = FunctionType(
        call.__code__.replace(co_stacksize=WORDS), call.__globals__, call.__name__, None, call.__closure__
    )
    return wraps(function)(wide)
