"""Workers of a Dask cluster for a campaign; they judge the same items as processes of this machine."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from bnconform.campaign.fingerprint import difference, packages
from bnconform.campaign.items import Item
from bnconform.campaign.judge_item import Orders, judge_item
from bnconform.campaign.pool import Lost
from bnconform_adapters.contract import describe_error
from bnconform_adapters.errors import AdapterError

AHEAD = 2
"""Number of items per worker at a time, so that no worker waits for its next item."""
ANSWERED = 10.0
"""Seconds within which the scheduler has to answer."""
WITHOUT_WORKERS = 120.0
"""Seconds for which a scheduler may have no workers: some schedulers start workers only when they have work."""
ENDED = "the connection to the scheduler is lost; start a scheduler, and the same command continues"


class ClusterWorkers:
    """Workers of a Dask cluster. Candidate files must have the same path there.

    Parameters
    ----------
    orders : Orders
    address : str
        Address of the scheduler, as ``tcp://HOST:8786``, or a file that the scheduler wrote.
    patience : float
        Seconds for which the scheduler may have no workers.

    Raises
    ------
    AdapterError
        If Dask is not installed, the scheduler does not answer, or a worker has other versions.
    """

    def __init__(self, orders: Orders, address: str, patience: float = WITHOUT_WORKERS) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise AdapterError("--scheduler needs Dask: pip install 'bnconform[campaign]'") from None
        try:
            self._client: Any = Client(_address(address), timeout=ANSWERED)
        except (OSError, ValueError) as error:
            raise AdapterError(f"--scheduler {address} does not answer: {describe_error(error)}") from None
        self._orders, self._address, self._patience = orders, address, patience
        self._busy: dict[Any, Item] = {}
        self._seen, self._warned = time.monotonic(), False
        try:
            self._check()
        except AdapterError:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse a cluster with a worker of other versions; the first item refuses a worker that joins later."""
        names = packages(self._orders.identities.values())
        try:
            found = self._client.get_versions(packages=names)
        except OSError:
            raise AdapterError(ENDED) from None
        ours, workers = found["client"]["packages"], found["workers"]
        for worker, about in workers.items():
            theirs = about["packages"]
            if other := difference(*({name: one[name] for name in ("python", *names)} for one in (theirs, ours))):
                raise AdapterError(
                    f"the cluster's worker {worker} has {other}; install the same there, or end that worker"
                )

    @property
    def busy(self) -> int:
        return len(self._busy)

    def fill(self, pending: deque[Item]) -> None:
        workers = self._count()
        while pending and len(self._busy) < AHEAD * max(workers, 1):
            item = pending.popleft()
            self._busy[self._client.submit(judge_item, item, self._orders, pure=False)] = item

    def _count(self) -> int:
        """Return the number of workers.

        Raises
        ------
        AdapterError
            If no worker came for too long, or the scheduler is gone.
        """
        try:
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except OSError:
            raise AdapterError(ENDED) from None
        now = time.monotonic()
        if workers:
            self._seen, self._warned = now, False
            return workers
        start = f"start one with: dask worker {self._address}"
        if now - self._seen > self._patience:
            raise AdapterError(f"the scheduler {self._address} has no workers; {start}, and the same command continues")
        if not self._warned:
            self._warned = True
            print(
                f"the scheduler {self._address} has no workers; waiting {self._patience:.0f} s for one, {start}",
                file=sys.stderr,
            )
        return 0

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        from distributed import KilledWorker
        from distributed import wait as wait_for

        try:
            done, _ = wait_for(list(self._busy), timeout=seconds, return_when="FIRST_COMPLETED")
        except TimeoutError:
            self._count()
            return
        except CancelledError:
            raise AdapterError(ENDED) from None
        for future in done:
            item = self._busy.pop(future)
            try:
                yield item, future.result()
            except KilledWorker:
                yield item, Lost("the process that judged it died")
            except (AdapterError, ImportError) as error:  # the worker's machine is at fault, not the implementation
                raise AdapterError(f"a worker of the cluster cannot judge {item.spec}: {error}") from None
            except CancelledError:
                raise AdapterError(ENDED) from None
            except Exception as error:
                yield item, Lost(describe_error(error), suite_failed=True)

    def close(self) -> None:
        self._client.cancel(list(self._busy))
        self._client.close()


def _address(given: str) -> str:
    """Return the scheduler's address, also from a file that it wrote; Dask itself would wait for the file forever."""
    if not given.endswith(".json"):
        return given
    try:
        return str(json.loads(Path(given).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"--scheduler {given} is not a scheduler's file: {describe_error(error)}") from None
