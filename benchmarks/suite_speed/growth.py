"""How costs grow: the oracle beside torch, a case with its elements and channels; start-up and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from bnconform.judging.oracle import expect
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import load
from bnconform_reference.definition import forward_training

RUNS = 9


def interleaved(calls: Mapping[str, Callable[[], object]], runs: int = RUNS) -> dict[str, float]:
    """Median milliseconds of each call, one of each after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(runs):
        for name, call in calls.items():
            start = perf_counter()
            call()
            times[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def oracle_beside_torch(elements: int = 1_000_000, channels: int = 64) -> dict[str, float]:
    """Milliseconds of a training forward pass in float64 on as many elements."""
    load("torch")  # sets what torch finds when it is imported
    import torch

    x = np.random.default_rng(0).standard_normal((channels, elements // channels))
    column, vector = np.ones((channels, 1)), torch.ones(channels, dtype=torch.float64)
    given = torch.from_numpy(x)[None]  # (1, C, n): as many values a channel, and contiguous as the rows are
    return interleaved(
        {
            "torch": lambda: torch.nn.functional.batch_norm(given, None, None, vector, vector, True, 0.1, 1e-5),
            "float64": lambda: forward_training(x, column, column, 1e-5),
            "double-double": lambda: forward_training(x, column, column, 1e-5, exact=True),
        }
    )


def expectation(elements: int, channels: int) -> float:
    """Milliseconds that expected values and allowed errors of a training step with gradients take."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((elements // channels, channels)).astype(np.float32)
    vector = np.ones(channels, np.float32)
    case = Case(x, x[::-1].copy(), vector, vector, 0 * vector, vector)
    claims = load("reference").claims
    return interleaved({"expect": lambda: expect(case, claims)}, 3 if elements > 10**6 else RUNS)["expect"]


def process(code: str) -> dict[str, float]:
    """CPU and wall seconds, and the peak of memory in MiB, of a Python process of its own."""
    # Not ru_maxrss, which starts at what the parent holds.
    ending = "\nimport json, resource\nr = resource.getrusage(resource.RUSAGE_SELF)\n"
    ending += "held = next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]\n"
    ending += "print(json.dumps([r.ru_utime + r.ru_stime, int(held) / 1024]))\n"
    start = perf_counter()
    done = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return {"cpu": seconds, "wall": perf_counter() - start, "mib": memory}


def startup(candidate: str) -> dict[str, Any]:
    """What is paid before the first case, and memory at the end of a run of all laws."""
    collected = (
        "import os, pytest, sys\n"
        "from importlib.util import find_spec\n"
        "where = os.path.dirname(find_spec('bnconform').origin)\n"
        "pytest.main([where, '-q', '-p', 'no:cacheprovider', {more}])\n"
    )
    one = f"'--bn-adapter', {candidate!r}"
    return {
        "import the suite": process("import bnconform.running.session"),
        "collect one implementation": process(collected.format(more=f"'--collect-only', {one}")),
        "collect all installed": process(collected.format(more="'--collect-only'")),
        "all laws on a NumPy file": process(collected.format(more=one)),
    }
