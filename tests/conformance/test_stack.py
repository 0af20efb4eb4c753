"""Room on the stack of frames: the same function, and no memory fetched for the frames of deep calls."""

from __future__ import annotations

import resource

from bnconform_adapters.stack import with_room

DEPTH, CALLS = 150, 2000


def at_depth(depth: int) -> int:
    """Page faults of many calls made at a depth of the stack."""
    if depth:
        return at_depth(depth - 1)

    def leaf() -> None:
        return None

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(CALLS):
        leaf()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_no_depth_makes_calls_fetch_memory() -> None:
    """At every depth up to that of a law under pytest, calls take their frames from what is there."""
    worst = max(with_room(at_depth)(depth) for depth in range(DEPTH))
    assert worst < CALLS / 4


def test_function_is_the_same() -> None:
    """Arguments, result, name and exceptions are those of the function."""

    @with_room
    def told(one: int, *, other: str = "") -> str:
        """What it was given."""
        return f"{one} {other}"

    assert (told(1, other="b"), told.__name__, told.__doc__) == ("1 b", "told", "What it was given.")
