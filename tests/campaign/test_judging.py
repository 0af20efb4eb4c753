"""What judges an item: failures of the suite itself, what it is about, and what it keeps."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import deque
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from campaigns import FAULTY, STARTER, kernel
from hypothesis.database import ExampleDatabase

from bnconform.campaign import begin as command
from bnconform.campaign import judge_item as judging
from bnconform.campaign import progress
from bnconform.campaign.fingerprint import identity
from bnconform.campaign.items import Item
from bnconform.campaign.judge_item import Orders, judge_item
from bnconform.campaign.pool import LocalWorkers, Lost
from bnconform.campaign.session_cache import KeptSessions
from bnconform.cases.strategies import signature_pool
from bnconform.cli import main
from bnconform.running import search
from bnconform.running import session as session_module
from bnconform.running.example_database import open_database
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.registry import Entry
from bnconform_reports.records.reading import read

SEED = 11


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    yield
    judging._sessions.close()


class Here:
    """Workers that are this process; an item of `lost` comes to nothing each time."""

    def __init__(self, orders: Orders, lost: Lost | None = None) -> None:
        self._orders, self._lost = orders, lost
        self._items: list[Item] = []

    @property
    def busy(self) -> int:
        """How many items are taken over."""
        return len(self._items)

    def fill(self, pending: deque[Item]) -> None:
        """Take one."""
        if pending:
            self._items.append(pending.popleft())

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        """Judge it."""
        item = self._items.pop()
        yield item, self._lost or judge_item(item, self._orders)

    def close(self) -> None:
        """Nothing to end."""


def failing(monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
    """Make the suite itself fail, once for each time that a seed is named."""
    left = list(seeds)

    def pool(claims: Any, seed: int) -> Any:
        if seed in left:
            left.remove(seed)
            raise ZeroDivisionError("a mistake\nof the suite")
        return signature_pool(claims, seed)

    monkeypatch.setattr(search, "signature_pool", pool)


def test_failure_of_the_suite_costs_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed on which the suite fails twice is not judged, with the reason; the item's other seeds are judged."""
    failing(monkeypatch, SEED + 1, SEED + 1)
    entry = judge_item(Item("reference", "I1", 0, 3), Orders(SEED))
    assert (entry["cell"]["verdict"], entry["cell"]["cases"]) == ("not judged", 2 * 60)
    assert entry["broken"] == []
    (cell,) = entry["failed"]
    assert (cell["verdict"], cell["seeds"]) == ("not judged", 1)
    assert cell["reason"].startswith("bnconform failed: ZeroDivisionError: a mistake (search.py line ")
    assert cell["again"].endswith(f"--bn-requirement I1 --hypothesis-profile=default --hypothesis-seed={SEED + 1}")


def test_failure_that_does_not_come_again_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed on which the suite fails once is tried again, and counts once."""
    failing(monkeypatch, SEED)
    entry = judge_item(Item("reference", "I1", 0, 1), Orders(SEED))
    assert (entry["cell"]["cases"], entry["failed"]) == (60, [])


def test_failure_of_the_suite_is_told_and_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record has a cell that was not judged, whatever other seeds gave; the exit status is one of its own."""
    failing(monkeypatch, SEED + 1, SEED + 1)
    monkeypatch.setattr(command, "_workers", lambda wishes, orders: Here(orders))
    wanted = ["--requirement", "I1", "--requirement", "S1", "--cases", "200", "--seed", str(SEED)]
    assert main(["campaign", "--adapter", "reference", *wanted, "-o", str(tmp_path)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert ", 0 findings" in lines[0]
    assert lines[1].startswith("  I1  reference not judged: 1 of ")
    assert "ZeroDivisionError: a mistake" in lines[1]
    assert lines[1].endswith(f"--hypothesis-seed={SEED + 1}")
    cells = {cell.requirement: cell for cell in read(tmp_path / "results.json").cells}
    assert (cells["I1"].verdict, cells["S1"].verdict) == ("not judged", "meets")
    assert "ZeroDivisionError" in cells["I1"].reason
    assert cells["I1"].cases


def test_item_on_which_the_suite_fails_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that costs the whole item, twice, is not held against the implementation either."""
    lost = Lost("KeyError: 'of the suite'", suite_failed=True)
    monkeypatch.setattr(command, "_workers", lambda wishes, orders: Here(orders, lost))
    wanted = ["--requirement", "I1", "--cases", "1", "--seed", str(SEED)]
    assert main(["campaign", "--adapter", "reference", *wanted, "-o", str(tmp_path)]) == 3
    printed = capsys.readouterr().out
    assert f"bnconform failed, 2 times with seeds {SEED} to {SEED}: KeyError: 'of the suite'" in printed
    assert [cell.verdict for cell in read(tmp_path / "results.json").cells] == ["not judged"]
    assert not (tmp_path / "cases").exists()


def test_implementation_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken installation of a bundled implementation is no success, nor an error of the record's writer."""
    entry = Entry("broken", "", None, (("numpy", "numpy"),), "torch", environment=(), factory="nowhere:nothing")
    monkeypatch.setattr(session_module, "find", lambda name: entry)
    monkeypatch.setattr(command, "_workers", lambda wishes, orders: Here(orders))
    wanted = ["--requirement", "I1", "--cases", "1"]
    assert main(["campaign", "--adapter", "broken", *wanted, "-o", str(tmp_path)]) == 2
    assert "\nnothing was judged; not run: AdapterError: " in capsys.readouterr().out
    assert [cell.verdict for cell in read(tmp_path / "results.json").cells] == ["not run"]


def test_campaign_that_judged_nothing_may_become_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that its cluster refused binds nobody to the versions that it was begun with."""

    def refused(wishes: Any, orders: Orders) -> Here:
        raise AdapterError("other versions")

    wanted = ["campaign", "--adapter", "reference", "--cases", "1", "-o", str(tmp_path)]
    monkeypatch.setattr(command, "_workers", refused)
    assert main([*wanted, "--requirement", "I1", "--seed", "1"]) == 2
    monkeypatch.setattr(command, "_workers", lambda wishes, orders: Here(orders))
    assert main([*wanted, "--requirement", "S1", "--seed", "2"]) == 0
    assert json.loads((tmp_path / "campaign.json").read_text())["seed"] == 2
    assert main([*wanted, "--requirement", "I1", "--seed", "2"]) == 2


def test_log_has_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where standard error is no terminal, lines say how far the campaign is, with its rate and memory."""
    monkeypatch.setattr(command, "_workers", lambda wishes, orders: Here(orders))
    monkeypatch.setattr(progress, "APART", 0.0)
    wanted = ["--requirement", "I1", "--cases", "100"]
    assert main(["campaign", "--adapter", "reference", *wanted, "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"round 0, 60 cases, \d+ a second, \d+ MiB, 0 findings, \d+ (s|min|h) left", lines[0])
    assert len(lines) == 2


class Down(ExampleDatabase):
    """A database whose server went away."""

    def save(self, key: bytes, value: bytes = b"") -> None:
        """Fail."""
        raise ConnectionError

    fetch = delete = save  # type: ignore[assignment]


def test_database_that_fails_decides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is a cache may go away: laws are judged as without it, and findings shrunk as ever."""
    item = Item(str(kernel(tmp_path, FAULTY)), "S2", 0, 1)
    without = judge_item(item, Orders(SEED))
    monkeypatch.setattr(judging, "open_database", lambda where: Down())
    with_it = judge_item(item, Orders(SEED, database="redis://nowhere"))
    assert with_it["failed"] == []
    assert with_it["broken"] == without["broken"] != []


def test_database_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is not there is told before anything is judged."""

    class Redis:
        """As redis-py has it."""

        @classmethod
        def from_url(cls, url: str) -> Redis:
            """A client, which connects when it is used."""
            return cls()

        def pipeline(self) -> None:
            """Fail; a real one does a little later."""
            raise ConnectionError("Connection refused")

    package = ModuleType("redis")
    package.Redis = Redis  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "redis", package)
    monkeypatch.delitem(sys.modules, "hypothesis.extra.redis", raising=False)
    with pytest.raises(
        AdapterError, match="--database redis://nowhere does not answer: ConnectionError: Connection ref"
    ):
        open_database("redis://nowhere")
    monkeypatch.delitem(sys.modules, "hypothesis.extra.redis")


def test_exception_in_a_process_is_the_suites() -> None:
    """What a process raises, rather than dies of, is told apart."""
    workers = LocalWorkers(Orders(SEED), 1)
    try:
        workers.fill(deque([Item("reference", "no such law", 0, 1)]))
        ((_, lost),) = list(workers.finished(60))
    finally:
        workers.close()
    assert lost == Lost("KeyError: 'no such law'", suite_failed=True)


def test_other_versions_do_not_judge() -> None:
    """A process with another version than the campaign's raises, and says which it is."""
    with_this = judge_item(Item("reference", "I1", 0, 1), Orders(SEED))
    assert with_this["cell"]["verdict"] == "meets"
    (one,) = Session(RunOptions(("reference",))).implementations
    other = identity(one) | {"hypothesis": "1.0"}
    with pytest.raises(AdapterError, match=r"hypothesis [\d.]+ \(the campaign has 1\.0\)"):
        judge_item(Item("reference", "I1", 0, 1), Orders(SEED, identities={"reference": other}))


def test_file_that_has_changed_is_not_judged(tmp_path: Path) -> None:
    """A candidate that is edited while a campaign is at work ends it, rather than being two in one."""
    path = kernel(tmp_path, STARTER)
    session = Session(RunOptions((str(path),)))
    orders = Orders(SEED, identities={str(path): identity(session.implementations[0])})
    session.close()
    item = Item(str(path), "I1", 0, 1)
    assert judge_item(item, orders)["cell"]["verdict"] == "meets"
    path.write_text(FAULTY)
    with pytest.raises(AdapterError, match="another text of the file"):
        judge_item(item, orders)


@pytest.mark.skipif(util.find_spec("torch") is None, reason="needs torch")
def test_identity_of_a_file_has_the_framework_that_it_imports(tmp_path: Path) -> None:
    """A kernel on torch is another one with another torch; one on NumPy is not."""
    found = []
    for text in (STARTER, "import torch\n" + STARTER):
        session = Session(RunOptions((str(kernel(tmp_path, text)),)))
        found.append(identity(session.implementations[0]))
        session.close()
    assert "torch" not in found[0]
    assert found[1]["torch"] == metadata.version("torch")


def test_sessions_that_are_dropped_are_closed(tmp_path: Path) -> None:
    """Of two sessions where one may be kept, the older one's processes end."""
    kept, pids = KeptSessions(most=1), []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.py"
        path.write_text(STARTER)
        session = kept.get(name, lambda path=path: Session(RunOptions((str(path),))))
        assert kept.get(name, pytest.fail) is session
        (worker,) = [one.worker for one in session.implementations]
        assert worker is not None
        assert worker.held()
        pids.append(worker._process._pid)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    os.kill(pids[1], 0)
    kept.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[1], 0)


def test_entry_tells_memory_and_bounds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An item says what was held; above the limit, the implementation's process is begun anew."""
    item = Item(str(kernel(tmp_path, STARTER)), "I1", 0, 1)
    memory = judge_item(item, Orders(SEED))["memory"]
    assert json.loads(json.dumps(memory)) == memory
    assert 10 < memory["implementation"] < memory["suite"]
    monkeypatch.setattr(judging, "peak", lambda: judging.MEMORY + 1)  # long ago; it never falls
    judge_item(item, Orders(SEED))
    assert judging._sessions.held()
    monkeypatch.setattr(judging, "MEMORY", memory["implementation"] << 20)
    judge_item(item, Orders(SEED))
    assert not judging._sessions.held()
