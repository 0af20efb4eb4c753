"""A run that is stopped by a signal loses no verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from suite_runs import command, replaced, starter

from bnconform.running.all_laws import laws
from bnconform.running.examiner import Examiner
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_reports.records.reading import read
from bnconform_reports.records.schema import Results

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


def record_of(folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Results:
    """Return the record of a wrong file, while the search for the cause raises."""

    def search(*arguments: object) -> list[str]:
        raise error

    monkeypatch.setattr("bnconform.running.session.probable_causes", search)
    path = folder / "kernel.py"
    path.write_text(starter().replace("+ column(bias", "- column(bias"))
    session = Session(RunOptions((str(path),), profile="quick", seed=1, report=folder, diagnose=True))
    (one,) = session.implementations
    try:
        with pytest.raises(pytest.fail.Exception):
            Examiner(session, one, lambda cell: session.add(cell | {"about": session.about(one)})).examine(laws()["F1"])
        session.finish()
    finally:
        session.close()
    return read(folder / "results.json")


def test_failing_search_for_the_cause_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has the verdicts, and says that no cause was searched for because bnconform failed."""
    results = record_of(tmp_path, monkeypatch, ValueError("no such case"))
    assert [cell.verdict for cell in results.cells] == ["breaks"]
    assert results.abouts["kernel.py"]["causes"] == [
        "bnconform's search for the cause failed: ValueError: no such case"
    ]


def test_stopped_search_for_the_cause_keeps_the_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record was written before the search began."""
    with pytest.raises(KeyboardInterrupt):
        record_of(tmp_path, monkeypatch, KeyboardInterrupt())
    assert [cell.verdict for cell in read(tmp_path / "results.json").cells] == ["breaks"]


def test_older_record_in_the_folder_is_not_shown(tmp_path: Path) -> None:
    """A run that ends before it judged anything leaves no page of an earlier run."""
    (tmp_path / "kernel.py").write_text(starter())
    options = ("--requirement=F1", "--hypothesis-profile=quick", "--report=out", "--in-process")
    assert command("vet", "kernel.py", *options, cwd=tmp_path).status == 0
    run = command("vet", "kernel.py", *options, "--collect-only", cwd=tmp_path)
    assert "CONFORMS" not in run.out
    assert not (tmp_path / "out" / "results.json").exists()
