"""Limits of a call's time and memory.

Both limits are generous until a call first reaches them. After that, shrinking and later laws would spend all their
time waiting. So each limit is lowered to a multiple of the largest need of any call that came back. On a slow machine,
where ordinary calls are slow too, the lowered limit is larger in proportion.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

from bnconform_adapters.registry import is_file

CALL_SECONDS = 10.0
BUNDLED_SECONDS = 120.0
"""Time limit of a bundled implementation, which may compile on a busy machine."""
FIRST_CALL = 6
"""Factor of the time limit for the first call in a process, which may compile or start a device."""
LOADING = 12
"""Factor of the time limit for importing the implementation."""

INTERPRETED = 6
"""Factor of the time limit for a call in Triton's interpreter, which is slow without hanging."""

MANY_TIMES = 20
"""Factor between the longest call so far and a lowered time limit."""
LEAST_SECONDS = 0.5
"""Smallest lowered time limit in seconds."""

MEMORY = 2 << 30
"""Bytes by which the process may grow after loading; at most half of the machine's memory."""
MANY_TIMES_MEMORY = 4
LEAST_MEMORY = 512 << 20


def _memory() -> int:
    return min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


@dataclass(frozen=True)
class CallOptions:
    """Options of a run for calling candidate files.

    Attributes
    ----------
    in_process : bool
        True runs files in the suite's own process, without limits.
    time_limit : float or None
        Time limit of a call in seconds; None takes the default.
    longest : float
        Largest time limit in seconds of a first call, or of loading the file.
    """

    in_process: bool = False
    time_limit: float | None = None
    longest: float = math.inf


DEFAULTS = CallOptions()


@dataclass
class Limits:
    """Limits of one implementation, and the needs measured so far.

    Attributes
    ----------
    seconds : float
        Time limit of a call until a call hangs.
    memory : int
        Bytes by which the process may grow, until it reaches this limit once.
    longest : float
        Largest time limit in seconds of a first call, or of loading.
    patient : bool
        Whether the user has set no time limit, so that a call in an interpreter may take longer.
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
        """Return the limits of a file, for which `calls` counts, or of a bundled implementation."""
        if not is_file(spec):
            return cls(BUNDLED_SECONDS)
        return cls(calls.time_limit or CALL_SECONDS, longest=calls.longest, patient=calls.time_limit is None)

    def interpreted(self) -> None:
        """Raise the time limit for an interpreter, unless the user has set it."""
        if self.patient:
            self.seconds, self.patient = INTERPRETED * self.seconds, False

    @property
    def loading(self) -> float:
        """Time limit in seconds for importing the implementation."""
        return min(LOADING * self.seconds, self.longest)

    def call(self, *, first: bool) -> float:
        """Return the time limit of a call in seconds; the first call of a process has its own."""
        limit = min(self.seconds * (FIRST_CALL if first else 1), self.longest)
        return min(limit, max(LEAST_SECONDS, MANY_TIMES * self._longest[first])) if self._lowered_time else limit

    @property
    def growth(self) -> int:
        """Bytes by which the process may grow."""
        least = max(LEAST_MEMORY, MANY_TIMES_MEMORY * self._most_memory)
        return min(self.memory, least) if self._lowered_memory else self.memory

    def came_back(self, seconds: float, memory: int = 0, *, first: bool) -> None:
        """Record the seconds of a call that came back, and the largest growth of the process seen in bytes."""
        self._longest[first] = max(self._longest[first], seconds)
        self._most_memory = max(self._most_memory, memory)

    def hung(self) -> None:
        """Record that a call reached its time limit."""
        self._lowered_time = True

    def overgrew(self) -> None:
        """Record that a process reached its memory limit."""
        self._lowered_memory = True
