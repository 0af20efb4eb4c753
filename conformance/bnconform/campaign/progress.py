"""Display of a campaign's progress: one line that changes on a terminal, else a line per minute for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bnconform.campaign.loop import Budget, Progress

APART = 60.0
"""Seconds between two lines of a log."""


@contextmanager
def shown(budget: Budget) -> Iterator[Callable[[Progress], None]]:
    """Provide a function that shows progress."""
    if not sys.stderr.isatty():
        yield _logged(budget)
        return
    try:
        yield lambda progress: print(f"\r\033[K{line(progress, budget)}", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)


def _logged(budget: Budget) -> Callable[[Progress], None]:
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= APART:
            last = time.monotonic()
            print(line(progress, budget), file=sys.stderr, flush=True)

    return tell


def line(progress: Progress, budget: Budget) -> str:
    """Describe progress in one line: round, cases, rate, memory, findings, and the time left if it is known."""
    rate = progress.new_cases / progress.seconds if progress.seconds else 0.0
    text = f"round {progress.round}, {progress.cases} cases, {rate:.0f} a second, {progress.memory} MiB, "
    text += f"{progress.findings} findings" + (f", bnconform failed on {progress.failed} seeds" * bool(progress.failed))
    left = [] if budget.seconds is None else [budget.seconds - progress.seconds]
    if budget.cases is not None and rate:
        left.append((budget.cases - progress.cases) / rate)
    return f"{text}, {_duration(max(0.0, min(left)))} left" if left else text


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
