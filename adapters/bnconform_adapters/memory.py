"""Memory of this machine."""

from __future__ import annotations

from functools import cache

from bnconform_adapters.plain.calling import FAR, untouched


@cache
def far_memory() -> bool:
    """Whether this machine lends the address space that the layout "far" needs."""
    try:
        untouched(8 * (2 * FAR))
    except (OSError, ValueError, OverflowError):
        return False
    return True
