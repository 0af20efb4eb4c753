"""A run that is stopped by a signal loses no verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from suite_runs import replaced, starter

WAITS = (
    (
        "    if n == 1:\n        raise",
        "    if n == 1:\n        import pathlib, time\n        pathlib.Path('reached').touch()\n"
        "        time.sleep(60)\n        raise",
    ),
)
"""Only X2 calls with one value per channel; F1 is judged before."""
LONGEST_WAIT = 120


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_verdicts_so_far_are_printed(by: signal.Signals, tmp_path: Path) -> None:
    """F1 was judged and is printed; X2 is named as not judged; the exit status is that of the signal."""
    (tmp_path / "kernel.py").write_text(replaced(starter(), WAITS))
    chosen = ("--requirement=F1", "--requirement=X2", "--hypothesis-profile=quick", "--time-limit=100", "--in-process")
    command = [sys.executable, "-m", "bnconform.cli", "vet", "kernel.py", *chosen]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS"))}
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + LONGEST_WAIT
    while not (tmp_path / "reached").exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    child.send_signal(by)
    out, _ = child.communicate(timeout=LONGEST_WAIT)
    assert child.returncode == 128 + by, out
    why = "the run was stopped before 1 of 2 laws"
    assert out.splitlines()[0] == f"kernel.py NOT JUDGED: {why}; core 1 of 1; 1 not judged"
    assert "X2: the run was stopped before this law was judged" in out
