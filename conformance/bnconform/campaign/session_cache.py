"""Sessions that a process keeps from item to item, with workers and what frameworks have compiled; a bounded lot."""

from __future__ import annotations

import os
import resource
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable

from bnconform.running.session import Session
from bnconform_adapters.frameworks import forget_compiled
from bnconform_adapters.worker.process import held_by

MOST = 4
"""Sessions that are kept: one for each implementation of late."""
MEMORY = 1536 << 20
"""Bytes that a process and its implementation's may hold together before both are begun anew."""


class KeptSessions:
    """Sessions by key; the one that was needed longest ago is closed when there are too many."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Session] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Session]) -> Session:
        """The session of a key, made where there is none."""
        if key not in self._kept:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)[1].close()
            self._kept[key] = make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def held(self) -> int:
        """Bytes that the implementations' processes hold."""
        return sum(one.worker.held() for kept in self._kept.values() for one in kept.implementations if one.worker)

    def close(self) -> None:
        """Close all, and give back what was compiled for them."""
        while self._kept:
            self._kept.popitem()[1].close()
        forget_compiled()


def resident() -> int:
    """Bytes that this process holds now; where the system does not tell (it is Linux that does), those at most."""
    return held_by(os.getpid()) or peak()


def peak() -> int:
    """Bytes that this process has held at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
