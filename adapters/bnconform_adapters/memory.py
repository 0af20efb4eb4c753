"""Memory that this machine offers."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from bnconform_adapters.plain.calling import FAR, untouched


@cache
def far_memory() -> bool:
    """Return True if this machine has the address space that the layout "far" needs."""
    try:
        untouched(8 * (2 * FAR))
    except (OSError, ValueError, OverflowError):
        return False
    return True


def held_by(pid: int) -> int:
    """Return the private memory of a process in bytes; 0 if the system does not report it (only Linux does).

    Private memory is resident memory minus memory shared with files, since frameworks map large libraries. A limit on
    address space (RLIMIT_AS, RLIMIT_DATA) would stop correct kernels: torch and CUDA reserve far more than they use.
    """
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def free_memory(system: Path = Path("/")) -> int:
    """Return the bytes of memory that programs can still take: the system's, or those of a container's limit.

    `system` is the root of the file system, for tests.
    """
    free = []
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = (system / "proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable"))))
    with suppress(OSError, ValueError):  # a container without a limit has the text "max"
        limit, used = ((system / "sys/fs/cgroup" / name).read_text() for name in ("memory.max", "memory.current"))
        free.append(max(0, int(limit) - int(used)))
    return min(free, default=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
