"""Every known deviation shows in a script of its own, in a process that cannot import the suite."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from suite_runs import run, run_scripts

from bnconform import ledger
from bnconform.again import AgainError, reproduce
from bnconform_adapters.registry import environment, find

FRAMEWORKS = {
    name: name if find(name).environment is not None else name.partition(".")[0].replace("keras", "tf")
    for name in dict.fromkeys(entry.implementation for entry in ledger.deviations())
}
"""The framework of each implementation: scripts of one run in one process, since importing it takes seconds. What needs
variables of its own is alone."""

# A reason that names a signal is that of a crash.
CRASHES = tuple(entry for entry in ledger.deviations() if entry.requirement == "E2" or "(SIG" in entry.reason)
SHOWN = tuple(entry for entry in ledger.deviations() if entry not in CRASHES)


@cache
def shown(framework: str, folder: Path) -> dict[tuple[str, str], tuple[Any, str]]:
    """Exit status and output of the script of every entry of a framework's implementations."""
    paths = {}
    for entry in ledger.deviations():
        if (
            FRAMEWORKS[entry.implementation] == framework
            and entry not in CRASHES
            and not find(entry.implementation).missing()
        ):
            path = reproduce(entry.implementation, entry.requirement, folder)
            paths[str(path)] = (entry.implementation, entry.requirement)
    alone = framework in FRAMEWORKS
    # What tells TensorFlow to have two CPUs has to come before anything uses it.
    paths = dict(sorted(paths.items(), key=lambda item: "set_logical_device" not in Path(item[0]).read_text()))
    found = run_scripts([[path] for path in paths], environment(framework) if alone else {})
    return dict(zip(paths.values(), found, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts are written."""
    return tmp_path_factory.mktemp("scripts")


@pytest.mark.parametrize("entry", CRASHES, ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_script_of_a_crash_crashes(entry: ledger.Deviation, folder: Path) -> None:
    """Where a call does not come back, the script of it ends by a signal, and says before which call it makes."""
    if missing := find(entry.implementation).missing():
        pytest.skip(f"{entry.implementation} needs {', '.join(missing)}: {find(entry.implementation).install}")
    done = run(reproduce(entry.implementation, entry.requirement, folder), cwd=folder)
    assert done.status < 0, done.out + done.err
    assert done.out.splitlines()[-1].startswith("results_"), done.out


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: f"{entry.implementation}-{entry.requirement}")
def test_script_shows_the_deviation(entry: ledger.Deviation, folder: Path) -> None:
    """The script of every entry exits with 1, and what it computes by the definition is what the oracle expects."""
    if missing := find(entry.implementation).missing():
        pytest.skip(f"{entry.implementation} needs {', '.join(missing)}: {find(entry.implementation).install}")
    status, output = shown(FRAMEWORKS[entry.implementation], folder)[entry.implementation, entry.requirement]
    assert (status, output.splitlines()[-1:]) == (1, ["the defect is there"]), output
    lines = dict(line.split(None, 1) for line in output.splitlines() if len(line.split()) > 1)
    assert lines.get("index") != "[]"  # no finding is about a single number
    if "definition" in lines:
        expected, defined, allowed = (float(lines[name].split()[0]) for name in ("expected", "definition", "allowed"))
        assert abs(defined - expected) * 1000 < allowed


def test_script_imports_nothing_of_the_project(folder: Path) -> None:
    """The text of a script names this project nowhere."""
    path = reproduce("torch", "X4", folder)
    assert "bnconform" not in path.read_text()


def test_head_says_what_is_wrong_and_where_it_was_told(folder: Path) -> None:
    """A stranger reads first what goes wrong, then what is called, the law, the finding and the upstream thread."""
    entry = ledger.find("torch.native", "X2")
    assert entry is not None
    head = " ".join(reproduce("torch.native", "X2", folder).read_text().split('"""')[1].split())
    told = [
        f"X2 broken by torch.native: {entry.reason}.",
        "What is called: torch.native_batch_norm.",
        "The law X2: ",
        "What was found: call returned for ",
        f"Upstream: {entry.link} ",
        "Seen with numpy ",
        "Exits with 1 while the defect is there",
    ]
    places = [head.find(one) for one in told]
    assert entry.link
    assert places == sorted(places)
    assert places[0] == 0, head


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
