"""Cache of sessions from item to item, with their workers and compiled programs; its size is bounded."""

from __future__ import annotations

import os
import resource
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable

from bnconform.running.session import Session
from bnconform_adapters.frameworks import forget_compiled
from bnconform_adapters.memory import held_by

MOST = 4
"""Number of cached sessions: one per recent implementation."""
MEMORY = 1536 << 20
"""Bytes that a process and its implementation's process may hold together before both are restarted."""


class KeptSessions:
    """Cache of sessions by key; it closes the least recently used one when there are too many."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Session] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Session]) -> Session:
        """Return the session of a key; create it if it is missing."""
        if key not in self._kept:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)[1].close()
            self._kept[key] = make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def held(self) -> int:
        """Return the number of bytes that the implementations' processes hold."""
        return sum(one.worker.held() for kept in self._kept.values() for one in kept.implementations if one.worker)

    def close(self) -> None:
        """Close all sessions, and free the programs compiled for them."""
        while self._kept:
            self._kept.popitem()[1].close()
        forget_compiled()


def resident() -> int:
    """Return the bytes that this process holds now; the peak on systems other than Linux, which do not report them."""
    return held_by(os.getpid()) or peak()


def peak() -> int:
    """Return the peak number of bytes that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
