"""The same campaign on a Dask cluster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from campaigns import DEADLY, FAULTY, STARTER, command, entries, findings, kernel, ran, seeds
from distributed import LocalCluster


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
    assert ran(path, here, "--cases", "900")[0] == 1
    status, printed = ran(path, there, "--cases", "900", "--scheduler", cluster.scheduler_address)
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
    assert "came to nothing, 2 times" in printed


def test_scheduler_that_is_not_there(tmp_path: Path) -> None:
    """An address that nobody answers at is told in one line."""
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
        while child.poll() is None and not ((out / "ledger.jsonl").exists() and entries(out)):
            time.sleep(0.01)
    told = child.communicate()[1]  # Dask logs there, too
    assert child.returncode == 2
    assert "\nbnconform: the connection to the scheduler is lost" in f"\n{told}"
    assert findings(entries(out)) == []
