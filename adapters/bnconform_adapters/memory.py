"""Memory that this machine offers."""

from __future__ import annotations

from functools import cache

from bnconform_adapters.plain.calling import FAR, untouched


@cache
def far_memory() -> bool:
    """Return True if this machine has the address space that the layout "far" needs."""
    try:
        untouched(8 * (2 * FAR))
    except (OSError, ValueError, OverflowError):
        return False
    return True
