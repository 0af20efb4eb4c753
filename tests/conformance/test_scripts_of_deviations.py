"""Every known deviation shows in a script of its own, in a process that cannot import the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from suite_runs import run

from bnconform import ledger
from bnconform.again import AgainError, reproduce
from bnconform_adapters.registry import find

FRAMEWORKS = {
    name: name if find(name).environment is not None else name.partition(".")[0].replace("keras", "tf")
    for name in dict.fromkeys(entry.implementation for entry in ledger.deviations())
}
"""The framework of each implementation: scripts of one run in one process, since importing it takes seconds. What needs
variables of its own is alone."""

_RUN_ALL = """
import contextlib, io, json, runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("bnconform"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Blocked())
found = {}
for path in sys.argv[1:]:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(path, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException as error:
        status = repr(error)
    found[path] = [status, out.getvalue()]
print(json.dumps(found))
"""


@cache
def shown(framework: str, folder: Path) -> dict[tuple[str, str], tuple[Any, str]]:
    """Exit status and output of the script of every entry of a framework's implementations."""
    paths = {}
    for entry in ledger.deviations():
        if FRAMEWORKS[entry.implementation] == framework and not find(entry.implementation).missing():
            path = reproduce(entry.implementation, entry.requirement, folder)
            paths[str(path)] = (entry.implementation, entry.requirement)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    command = [sys.executable, "-c", _RUN_ALL, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {paths[path]: (status, output) for path, (status, output) in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts are written."""
    return tmp_path_factory.mktemp("scripts")


@pytest.mark.parametrize("entry", ledger.deviations(), ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_script_shows_the_deviation(entry: ledger.Deviation, folder: Path) -> None:
    """The script of every entry exits with 1, and what it computes by the definition is what the oracle expects."""
    if missing := find(entry.implementation).missing():
        pytest.skip(f"{entry.implementation} needs {', '.join(missing)}: {find(entry.implementation).install}")
    status, output = shown(FRAMEWORKS[entry.implementation], folder)[entry.implementation, entry.requirement]
    assert (status, output.splitlines()[-1:]) == (1, ["the defect is there"]), output
    lines = dict(line.split(None, 1) for line in output.splitlines() if len(line.split()) > 1)
    if "definition" in lines:
        expected, defined, allowed = (float(lines[name].split()[0]) for name in ("expected", "definition", "allowed"))
        assert abs(defined - expected) * 1000 < allowed


def test_script_imports_nothing_of_the_project(folder: Path) -> None:
    """The text of a script names this project nowhere."""
    path = reproduce("torch", "X4", folder)
    assert "bnconform" not in path.read_text()


def test_command_writes_the_script(tmp_path: Path) -> None:
    """`bnconform reproduce NAME REQUIREMENT` writes the script here and says how to run it."""
    done = run("-m", "bnconform.cli", "reproduce", "torch", "X4", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "reproduce_X4_torch.py" in done.out
    assert (tmp_path / "reproduce_X4_torch.py").is_file()


@pytest.mark.parametrize(
    ("name", "requirement", "told"),
    [("torch", "F1", "pass one of N2"), ("reference", "F1", "it has none")],
)
def test_unknown_entry_is_refused(name: str, requirement: str, told: str, tmp_path: Path) -> None:
    """What the ledger does not have is refused with what it has."""
    with pytest.raises(AgainError, match=told):
        reproduce(name, requirement, tmp_path)
