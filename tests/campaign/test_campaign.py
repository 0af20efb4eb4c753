"""Campaigns of the real command: killed at any point, with workers that die, and what they leave."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import deque
from importlib import metadata
from pathlib import Path

import pytest
from campaigns import (
    DEADLY,
    FAULTY,
    LUCKY,
    RARE,
    REQUIREMENTS,
    STARTER,
    UNLUCKY,
    command,
    entries,
    findings,
    kernel,
    ran,
    seeds,
)

from bnconform.campaign.items import Item
from bnconform.campaign.judge_item import Orders
from bnconform.campaign.pool import LocalWorkers
from bnconform.cases.case_file import read as read_case
from bnconform.cli import main
from bnconform.commands.replay import replay_file
from bnconform_adapters.errors import AdapterError
from bnconform_reports.records.reading import read

CASES = "600"
ENTRY = (
    '{"item": {"spec": "reference", "requirement": "I1", "start": 0, "stop": 1},'
    ' "cell": {}, "broken": [], "seconds": 1}\n'
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a faulty kernel and a whole campaign on it, in `whole`."""
    folder = tmp_path_factory.mktemp("faulty")
    path = kernel(folder, FAULTY)
    status, printed = ran(path, folder / "whole", "--cases", CASES)
    assert status == 1, printed
    return folder


def test_campaign_killed_at_any_moment_loses_and_repeats_nothing(faulty: Path) -> None:
    """With SIGKILL after random times, the campaign that goes on ends with the seeds and findings of a whole one."""
    out, chance, kills = faulty / "killed", random.Random(0), 0
    while kills < 3:
        lines = len(entries(out)) if (out / "journal.jsonl").exists() else 0
        child = subprocess.Popen(
            command(faulty / "kernel.py", out, "--cases", CASES), start_new_session=True, stdout=subprocess.DEVNULL
        )
        more = chance.randint(0, 2)  # lines that it gets to write, whatever the machine's speed; then some time
        while child.poll() is None and (not out.joinpath("journal.jsonl").exists() or len(entries(out)) < lines + more):
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        if child.poll() is not None:
            break
        child.kill()  # it alone: its workers have to notice
        child.wait()
        kills += 1
    assert kills >= 2
    _wait_for_nobody(child.pid)
    status, printed = ran(faulty / "kernel.py", out, "--cases", CASES)
    assert status == 1, printed
    whole = entries(faulty / "whole")
    assert seeds(entries(out)) == seeds(whole)
    assert set(seeds(whole).values()) == {1}
    assert findings(entries(out)) == findings(whole)


def _wait_for_nobody(session: int) -> None:
    """Workers of a killed campaign end by themselves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(
            _session_of(int(entry.name)) == session for entry in Path("/proc").iterdir() if entry.name.isdigit()
        ):
            return
        time.sleep(0.05)
    pytest.fail(f"processes of session {session} are left")


def _session_of(pid: int) -> int | None:
    try:
        state, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0:4:3]
    except OSError:
        return None
    return None if state == "Z" else int(session)


def test_what_a_campaign_leaves_is_read_by_the_others(faulty: Path) -> None:
    """results.json is a record, and every finding has a case file that breaks its law again, with a script."""
    out = faulty / "whole"
    record = read(out / "results.json")
    broken = {cell.requirement for cell in record.cells if cell.verdict == "breaks"}
    assert {"S2", "I1"} <= broken
    assert {cell.requirement for cell in record.cells} == set(REQUIREMENTS)
    assert sum(cell.cases for cell in record.cells) == sum(entry["cell"]["cases"] for entry in entries(out))
    for id in broken:
        path = next((out / "cases").glob(f"{id}-kernel-*.json"))
        assert read_case(path)
        assert replay_file(path, None)
        assert path.with_suffix(".py").exists()


def test_budget_goes_where_errors_are_high(faulty: Path) -> None:
    """What is broken already gets fewer seeds than what holds."""
    counts = {
        id: sum(n for (one, _), n in seeds(entries(faulty / "whole")).items() if one == id) for id in REQUIREMENTS
    }
    assert counts["S2"] < counts["F1"]


def test_more_cases_go_on_from_fewer(tmp_path: Path) -> None:
    """A finished campaign that is asked for more does what is missing; one that is over does nothing."""
    path, out = kernel(tmp_path, STARTER), tmp_path / "out"
    assert ran(path, out, "--cases", "200", requirements=("I1",))[0] == 0
    before = entries(out)
    assert ran(path, out, "--cases", "200", requirements=("I1",))[0] == 0
    assert entries(out) == before
    assert ran(path, out, "--cases", "400", requirements=("I1",))[0] == 0
    assert entries(out)[: len(before)] == before
    assert set(seeds(entries(out)).values()) == {1}
    assert sum(entry["cell"]["cases"] for entry in entries(out)) >= 400


def test_another_campaign_is_refused(tmp_path: Path) -> None:
    """A folder is for one kernel as it is, one set of requirements and one seed."""
    path, out = kernel(tmp_path, STARTER), tmp_path / "out"
    assert ran(path, out, "--cases", "1", requirements=("I1",))[0] == 0

    def refused(told: str, *more: str, path: Path = path, requirements: tuple[str, ...] = ("I1",)) -> None:
        printed = f"bnconform: {out} holds a campaign {told}\n"
        assert ran(path, out, "--cases", "1", *more, requirements=requirements) == (2, printed)

    refused("of other requirements; pass another -o", requirements=("F1",))
    refused("of another seed; pass another -o", "--seed", "12")
    (tmp_path / "other").mkdir()
    refused(f"on {path}; put it there, or pass another -o", path=kernel(tmp_path / "other", STARTER))
    path.write_text(FAULTY)
    refused("of another kernel.py: this machine has another text of the file; pass another -o")
    kept = json.loads((out / "campaign.json").read_text())
    kept["implementations"]["kernel.py"]["hypothesis"] = "1.0"
    (out / "campaign.json").write_text(json.dumps(kept))
    path.write_text(STARTER)
    here = f"hypothesis {metadata.version('hypothesis')} (the campaign has 1.0)"
    refused(f"of another kernel.py: this machine has {here}; pass another -o")


def test_worker_that_dies_costs_its_item_once(tmp_path: Path) -> None:
    """An item whose process was killed is judged again; nothing is broken by that."""
    path, out = kernel(tmp_path, DEADLY.replace("ONCE", "True")), tmp_path / "out"
    status, printed = ran(path, out, "--cases", "1", requirements=("F1", "I1"))
    assert (tmp_path / "kernel.killed").exists()
    assert status == 0, printed
    assert set(seeds(entries(out))) == {("F1", 0), ("I1", 0)}


def test_worker_that_dies_again_is_a_finding(tmp_path: Path) -> None:
    """An item that kills its process each time is recorded as broken, and the others are judged."""
    path, out = kernel(tmp_path, DEADLY.replace("ONCE", "False")), tmp_path / "out"
    status, printed = ran(path, out, "--cases", "1", requirements=("F1", "I1"))
    assert status == 1
    assert "I1  kernel.py: call gave no result, 2 times with seeds 11 to 11: the process that judged it died" in printed
    record = read(out / "results.json")
    assert {cell.requirement: cell.verdict for cell in record.cells} == {"F1": "meets", "I1": "breaks"}


def test_one_process_at_a_time_has_a_folder(faulty: Path) -> None:
    """A campaign that another process is at work on is refused."""
    from bnconform.campaign.journal import Journal

    with Journal(faulty / "whole" / "journal.jsonl"):
        status, printed = ran(faulty / "kernel.py", faulty / "whole", "--cases", CASES)
    assert status == 2
    assert "another process is using" in printed


def test_shared_database_is_a_cache(tmp_path: Path) -> None:
    """What one campaign found by luck, another with its database tries first; the record stays in the folders."""
    path, database = kernel(tmp_path, RARE), tmp_path / "examples"

    def found(out: str, seed: str, *more: str) -> bool:
        status, printed = ran(path, tmp_path / out, "--cases", "1", "--seed", seed, *more, requirements=("F1",))
        assert status in (0, 1), printed
        return status == 1

    assert found("lucky", LUCKY, "--database", str(database))
    assert not found("unlucky", UNLUCKY)
    assert found("told", UNLUCKY, "--database", str(database))
    assert [key for key, *_ in findings(entries(tmp_path / "told"))] == ["F1"]


def test_end_has_to_be_named(tmp_path: Path) -> None:
    """A campaign without an end is not begun."""
    status, printed = ran(kernel(tmp_path, STARTER), tmp_path / "out")
    assert status == 2
    assert "pass --cases N, --minutes M or --until-dry" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("files", "more", "told"),
    [
        ({"out": ""}, [], "-o: cannot make the folder"),
        ({"file": ""}, ["-o", "file/out"], "-o: cannot make the folder file/out: Not a directory"),
        ({"out/journal.jsonl": "1\n"}, [], "is damaged in line 1"),
        ({"out/journal.jsonl": ENTRY}, [], "campaign.json is missing"),
        ({"out/campaign.json": "[1]"}, [], "campaign.json is damaged"),
        ({"file": ""}, ["--database", "file/examples"], "--database: cannot make the folder file/examples"),
        ({}, ["--scheduler", "tcp://127.0.0.1:9", "--processes", "2"], "pass one of them"),
        ({}, ["--scheduler", "none.json"], "--scheduler none.json is not a scheduler's file"),
        ({"some.json": "{}"}, ["--scheduler", "some.json"], "--scheduler some.json is not a scheduler's file"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str],
    more: list[str],
    told: str,
) -> None:
    """Folders, files and addresses that are of no use end the command before anything is judged."""
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    given = ["--adapter", "reference", "--requirement", "I1", "--cases", "1", "-o", "out", *more]
    assert main(["campaign", *given]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.count("\n") == 1
    assert not list(Path().rglob("results.json"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--minutes", "nan"], "--minutes: 'nan'; pass a number of minutes above 0"),
        (["--minutes", "inf"], "--minutes: 'inf'; pass a number of minutes above 0"),
        (["--minutes", "-1"], "--minutes: '-1'; pass a number of minutes above 0"),
        (["--minutes", "soon"], "--minutes: 'soon'; pass a number of minutes above 0"),
        (["--cases", "0"], "--cases: '0'; pass a whole number above 0"),
        (["--cases", "-5"], "--cases: '-5'; pass a whole number above 0"),
        (["--cases", "1e6"], "--cases: '1e6'; pass a whole number above 0"),
        (["--cases", "1", "--time-limit", "inf"], "--time-limit: 'inf'; pass a number of seconds above 0"),
    ],
)
def test_numbers_that_are_none_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], told: str
) -> None:
    """A budget or a limit has to be a number above 0, and finite."""
    with pytest.raises(SystemExit) as ended:
        main(["campaign", "--adapter", "reference", "-o", str(tmp_path / "out"), *given])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"bnconform: {told}\n"
    assert not (tmp_path / "out").exists()


def test_nothing_judged_is_no_success(tmp_path: Path) -> None:
    """A campaign in which nothing is claimed says so, and why."""
    status, printed = ran(kernel(tmp_path, STARTER), tmp_path / "out", "--cases", "1", requirements=("Y1",))
    assert status == 2
    assert printed.splitlines()[-1].startswith("nothing was judged; not claimed: ")


NOTICES_SIGINT = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_stopped_campaign_tells_what_it_has(tmp_path: Path, by: signal.Signals) -> None:
    """Ctrl-C, and what batch systems send instead, end it with its record written."""
    out = tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-c", NOTICES_SIGINT, *command(kernel(tmp_path, STARTER), out, "--minutes", "5")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while child.poll() is None and not (out.joinpath("journal.jsonl").exists() and entries(out)):
        time.sleep(0.01)
    child.send_signal(by)
    _, told = child.communicate(timeout=60)
    assert (child.returncode, told) == (130, "stopped; the same command continues\n")
    assert sum(cell.cases for cell in read(out / "results.json").cells) == sum(
        entry["cell"]["cases"] for entry in entries(out)
    )


def test_machine_that_cannot_judge_is_no_finding() -> None:
    """A file or framework that a worker's machine lacks ends the campaign; it is not said to break the law."""
    workers = LocalWorkers(Orders(0), 1)
    try:
        workers.fill(deque([Item("/nowhere/kernel.py", "I1", 0, 1)]))
        with pytest.raises(AdapterError, match=r"cannot be judged any more: no such file: /nowhere/kernel\.py"):
            list(workers.finished(60))
    finally:
        workers.close()
