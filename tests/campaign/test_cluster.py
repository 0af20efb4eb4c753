"""The same campaign on a Dask cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from campaigns import DEADLY, FAULTY, STARTER, command, entries, findings, kernel, ran, seeds
from distributed import LocalCluster

from bnconform.campaign.cluster import ClusterWorkers
from bnconform.campaign.fingerprint import identity
from bnconform.campaign.items import Item
from bnconform.campaign.judge_item import Orders
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.errors import AdapterError

ITEM = Item("reference", "I1", 0, 1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and a worker, in processes of their own; Dask itself gives nothing out again."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": False}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as found,
    ):
        yield found


def test_cluster_gives_what_this_machine_gives(cluster: Any, tmp_path: Path) -> None:
    """Seeds, cases and findings, each with its smallest case, are those of local processes."""
    path = kernel(tmp_path, FAULTY)
    here, there = tmp_path / "here", tmp_path / "there"
    assert ran(path, here, "--cases", "300")[0] == 1
    status, printed = ran(path, there, "--cases", "300", "--scheduler", cluster.scheduler_address)
    assert status == 1, printed
    assert seeds(entries(there)) == seeds(entries(here))
    assert findings(entries(there)) == findings(entries(here))
    assert sum(e["cell"]["cases"] for e in entries(there)) == sum(e["cell"]["cases"] for e in entries(here))


def test_clusters_worker_that_dies_is_a_finding_the_second_time(cluster: Any, tmp_path: Path) -> None:
    """An item that kills the cluster's worker is given out twice, and recorded."""
    path = kernel(tmp_path, DEADLY.replace("ONCE", "False"))
    more = ("--cases", "1", "--scheduler", cluster.scheduler_address)
    status, printed = ran(path, tmp_path / "out", *more, requirements=("I1",))
    assert status == 1, printed
    assert "gave no result, 2 times" in printed


def test_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that nobody answers at is told in one line."""
    monkeypatch.setattr("bnconform.campaign.cluster.ANSWERED", 0.5)
    status, printed = ran(
        kernel(tmp_path, FAULTY), tmp_path / "out", "--cases", "1", "--scheduler", "tcp://127.0.0.1:9"
    )
    assert status == 2
    assert printed.startswith("bnconform: --scheduler tcp://127.0.0.1:9 does not answer")


def test_cluster_that_ends_is_no_finding(tmp_path: Path) -> None:
    """Where the scheduler ends, the campaign does, in one line; nothing is said to be broken by that."""
    out = tmp_path / "out"
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as found:
        wanted = ("--minutes", "5", "--scheduler", found.scheduler_address)
        campaign = command(kernel(tmp_path, STARTER), out, *wanted)
        child = subprocess.Popen(campaign, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while child.poll() is None and not ((out / "journal.jsonl").exists() and entries(out)):
            time.sleep(0.01)
    told = child.communicate()[1]  # Dask logs there, too
    assert child.returncode == 2
    assert "\nbnconform: the connection to the scheduler is lost" in f"\n{told}"
    assert findings(entries(out)) == []


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler that has no workers of its own."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as found:
        yield found.scheduler_address


@contextmanager
def worker_of_old_hypothesis(folder: Path, scheduler: str) -> Iterator[None]:
    """A worker on a machine whose Hypothesis is another version, by what is installed there."""
    told = folder / "hypothesis-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: hypothesis\nVersion: 1.0\n")
    start = ["-m", "distributed.cli.dask_worker", scheduler, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(
        [sys.executable, *start], env=os.environ | {"PYTHONPATH": path}, cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def until_refused(workers: ClusterWorkers) -> str:
    """What a cluster that is given an item refuses with."""
    pending = deque([ITEM])
    try:
        while True:
            workers.fill(pending)
            assert list(workers.finished(0.1)) == []
    except AdapterError as error:
        return str(error)


def test_worker_of_other_versions_is_refused(scheduler: str, tmp_path: Path) -> None:
    """One that joins later judges nothing; one that is there when a campaign begins ends it in a line."""
    (one,) = Session(RunOptions(("reference",))).implementations
    workers = ClusterWorkers(Orders(0, identities={"reference": identity(one)}), scheduler)
    version = identity(one)["hypothesis"]
    different = f"hypothesis 1.0 (the campaign has {version})"
    try:
        with worker_of_old_hypothesis(tmp_path, scheduler):
            told = until_refused(workers)
            assert told.startswith(f"a worker of the cluster cannot judge reference: this machine has {different}; ")
            status, printed = ran(kernel(tmp_path, STARTER), tmp_path / "out", "--cases", "1", "--scheduler", scheduler)
    finally:
        workers.close()
    assert status == 2
    (line,) = [line for line in printed.splitlines() if line.startswith("bnconform: ")]
    assert line.startswith("bnconform: the cluster's worker tcp://127.0.0.1:")
    assert line.endswith(f" has {different}; install the same there, or end that worker")
    assert not entries(tmp_path / "out")


def test_scheduler_without_workers_is_given_up(scheduler: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is waited for, which a line says, and not for ever."""
    workers = ClusterWorkers(Orders(0), scheduler, patience=0.3)
    try:
        told = until_refused(workers)
    finally:
        workers.close()
    start = f"the scheduler {scheduler} has no workers; "
    assert told == f"{start}start one with: dask worker {scheduler}, and the same command continues"
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("the scheduler")]
    assert line == f"{start}waiting 0 s for one, start one with: dask worker {scheduler}"
