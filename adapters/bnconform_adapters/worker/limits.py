"""How long a call may take and how much memory it may come to hold before it is given up.

Both limits are generous until they are first reached. From then on, shrinking and the laws that follow would spend all
their time waiting, so each limit is lowered to a multiple of the most that any call which came back has needed: a slow
machine, whose ordinary calls are slow too, keeps a limit in proportion.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

from bnconform_adapters.registry import is_file

CALL_SECONDS = 10.0
BUNDLED_SECONDS = 120.0
"""For a bundled implementation: it may compile on a machine that has much else to do."""
FIRST_CALL = 6
"""The first call in a process may take this many times as long: it may compile, or start a device."""
LOADING = 12
"""And importing the implementation this many times."""

INTERPRETED = 6
"""And a call in Triton's interpreter this many times: it is slow, and that is no hang."""

MANY_TIMES = 20
"""A lowered limit is this multiple of the longest call so far, ..."""
LEAST_SECONDS = 0.5
"""... and no less than this."""

MEMORY = 2 << 30
"""Bytes by which the process may grow after loading, unless that is more than half of the machine's memory."""
MANY_TIMES_MEMORY = 4
LEAST_MEMORY = 512 << 20


def _memory() -> int:
    return min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


@dataclass(frozen=True)
class CallOptions:
    """How a run calls candidate files; one value that reaches every place that calls one.

    Attributes
    ----------
    in_process : bool
        In the suite's own process, where nothing limits a call.
    time_limit : float or None
        Seconds that a call may take; None takes the default.
    longest : float
        Seconds that a first call, or loading the file, may take at most.
    """

    in_process: bool = False
    time_limit: float | None = None
    longest: float = math.inf


DEFAULTS = CallOptions()


@dataclass
class Limits:
    """Limits of one implementation, and what they are measured against.

    Attributes
    ----------
    seconds : float
        Time limit of a call until one hangs.
    memory : int
        Bytes by which the process may grow until that is too much once.
    longest : float
        Seconds that a first call, or loading, may take at most.
    patient : bool
        Whether nobody has limited a call, so that one in an interpreter may take longer.
    """

    seconds: float = CALL_SECONDS
    memory: int = field(default_factory=_memory)
    longest: float = math.inf
    patient: bool = False
    _lowered_time: bool = False
    _lowered_memory: bool = False
    _longest: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    _most_memory: int = 0

    @classmethod
    def of(cls, spec: str, calls: CallOptions = DEFAULTS) -> Limits:
        """The limits of what a user named: a file, whose calls they may limit, or a bundled implementation."""
        if not is_file(spec):
            return cls(BUNDLED_SECONDS)
        return cls(calls.time_limit or CALL_SECONDS, longest=calls.longest, patient=calls.time_limit is None)

    def interpreted(self) -> None:
        """Allow for an interpreter, unless a user has set the limit."""
        if self.patient:
            self.seconds, self.patient = INTERPRETED * self.seconds, False

    @property
    def loading(self) -> float:
        """Seconds that importing the implementation may take."""
        return min(LOADING * self.seconds, self.longest)

    def call(self, *, first: bool) -> float:
        """Seconds that a call may take; the first of a process counts by itself."""
        limit = min(self.seconds * (FIRST_CALL if first else 1), self.longest)
        return min(limit, max(LEAST_SECONDS, MANY_TIMES * self._longest[first])) if self._lowered_time else limit

    @property
    def growth(self) -> int:
        """Bytes by which the process may grow."""
        least = max(LEAST_MEMORY, MANY_TIMES_MEMORY * self._most_memory)
        return min(self.memory, least) if self._lowered_memory else self.memory

    def came_back(self, seconds: float, memory: int = 0, *, first: bool) -> None:
        """A call came back after so many seconds, when the process had been seen to have grown by so many bytes."""
        self._longest[first] = max(self._longest[first], seconds)
        self._most_memory = max(self._most_memory, memory)

    def hung(self) -> None:
        """A call reached its time limit."""
        self._lowered_time = True

    def overgrew(self) -> None:
        """A process reached its memory limit."""
        self._lowered_memory = True
