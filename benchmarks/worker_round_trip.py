"""What the worker process costs: ms per case in this process, in a worker, and in a worker with many cases a trip.

    python benchmarks/worker_round_trip.py [SPEC]

SPEC is as for `--adapter`; without it, the starter file of `bnconform new`. Each figure is the median of several runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import resources
from statistics import median
from time import perf_counter

import numpy as np

from bnconform_adapters.calls import run_steps
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import load
from bnconform_adapters.worker.client import WorkerAdapter

RUNS, CASES = 7, 200
SHAPES = ((4, 3), (16, 8, 7, 7), (64, 64, 28, 28))


def case_of(shape: tuple[int, ...]) -> Case:
    """A training step with gradients."""
    rng = np.random.default_rng(0)
    x, vector = rng.standard_normal(shape).astype(np.float32), np.ones(shape[1], np.float32)
    return Case(x, x[::-1].copy(), vector, vector, 0 * vector, vector)


def milliseconds(calls: Callable[[], object], cases: int) -> float:
    """Median time per case."""
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        calls()
        times.append((perf_counter() - start) / cases * 1e3)
    return median(times)


def main(spec: str) -> None:
    """Print a table."""
    start = perf_counter()
    with WorkerAdapter(spec) as worker:
        print(f"{spec}: the worker starts in {perf_counter() - start:.2f} s")
        here = load(spec)
        print(f"{'x':>16} {'in process':>12} {'worker':>12} {'batched':>12}   ms per case, forward and backward")
        for shape in SHAPES:
            case = case_of(shape)
            cases = [case] * (CASES if case.x.size < 10_000 else 5)
            figures = (
                milliseconds(lambda cases=cases: [run_steps(here, [one]) for one in cases], len(cases)),
                milliseconds(lambda cases=cases: [run_steps(worker, [one]) for one in cases], len(cases)),
                milliseconds(lambda cases=cases: run_steps(worker, cases), len(cases)),
            )
            print(f"{'x'.join(map(str, shape)):>16}", *(f"{figure:>12.3f}" for figure in figures))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(resources.files("bnconform") / "starters" / "numpy_functions.py"))
