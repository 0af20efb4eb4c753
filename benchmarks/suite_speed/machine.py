"""The machine that a measurement was made on, and what else it was doing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path


def described() -> dict[str, str]:
    """Processor, cores, memory, system, versions, and the load while it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    packages = ("numpy", "hypothesis", "pytest", "torch")
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in packages),
        "load": f"{os.getloadavg()[0]:.1f} when the measurement began",
    }
