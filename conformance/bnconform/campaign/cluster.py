"""A Dask cluster's workers as those of a campaign; it judges the same items as processes of this machine."""

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
from bnconform_adapters.contract import AdapterError, describe_error

AHEAD = 2
"""Items that a worker has at a time, so that none waits for the next one."""
WITHOUT_WORKERS = 120.0
"""Seconds for which a scheduler may have no workers: one that starts them on demand does so when it has work."""
ENDED = "the connection to the scheduler is lost; with one that runs, the same command goes on"


class ClusterWorkers:
    """The workers of a Dask cluster. Candidate files have to be at the same path there.

    Parameters
    ----------
    orders : Orders
    address : str
        The scheduler's, as ``tcp://HOST:8786``, or a file that it wrote.
    patience : float
        Seconds for which the scheduler may have no workers.

    Raises
    ------
    AdapterError
        Dask is not installed, there is no such scheduler, or a worker has other versions.
    """

    def __init__(self, orders: Orders, address: str, patience: float = WITHOUT_WORKERS) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise AdapterError("--scheduler needs Dask: pip install 'bnconform[campaign]'") from None
        try:
            self._client: Any = Client(_address(address), timeout=10)
        except (OSError, ValueError) as error:
            raise AdapterError(f"--scheduler {address} does not answer: {describe_error(error)}") from None
        self._orders, self._address, self._patience = orders, address, patience
        self._busy: dict[Any, Item] = {}
        self._seen, self._told = time.monotonic(), False
        try:
            self._check()
        except AdapterError:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse a cluster of which a worker has other versions; one that joins later is refused by its first item."""
        due: dict[str, str] = {}
        for identity in self._orders.identities.values():
            due |= identity
        names = packages([due])
        try:
            found = self._client.get_versions(packages=names)
        except OSError:
            raise AdapterError(ENDED) from None
        ours, workers = found["client"]["packages"], found["workers"]
        for worker, about in workers.items():
            theirs = about["packages"]
            if told := difference(*({name: one[name] for name in ("python", *names)} for one in (theirs, ours))):
                raise AdapterError(
                    f"the cluster's worker {worker} has {told}; install the same there, or end that worker"
                )

    @property
    def busy(self) -> int:
        """See :class:`~bnconform.campaign.pool.Workers`."""
        return len(self._busy)

    def fill(self, pending: deque[Item]) -> None:
        """See :class:`~bnconform.campaign.pool.Workers`."""
        workers = self._count()
        while pending and len(self._busy) < AHEAD * max(workers, 1):
            item = pending.popleft()
            self._busy[self._client.submit(judge_item, item, self._orders, pure=False)] = item

    def _count(self) -> int:
        """How many workers there are.

        Raises
        ------
        AdapterError
            For long there have been none, or the scheduler is gone.
        """
        try:
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except OSError:
            raise AdapterError(ENDED) from None
        now = time.monotonic()
        if workers:
            self._seen, self._told = now, False
            return workers
        start = f"start one with: dask worker {self._address}"
        if now - self._seen > self._patience:
            raise AdapterError(f"the scheduler {self._address} has no workers; {start}, and the same command goes on")
        if not self._told:
            self._told = True
            print(
                f"the scheduler {self._address} has no workers; waiting {self._patience:.0f} s for one, {start}",
                file=sys.stderr,
            )
        return 0

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        """See :class:`~bnconform.campaign.pool.Workers`."""
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
            except (AdapterError, ImportError) as error:  # of the worker's machine; it says nothing of what is judged
                raise AdapterError(f"a worker of the cluster cannot judge {item.spec}: {error}") from None
            except CancelledError:
                raise AdapterError(ENDED) from None
            except Exception as error:
                yield item, Lost(describe_error(error), suite_failed=True)

    def close(self) -> None:
        """See :class:`~bnconform.campaign.pool.Workers`."""
        self._client.cancel(list(self._busy))
        self._client.close()


def _address(given: str) -> str:
    """The scheduler's address, or the one in a file that it wrote; Dask would wait for the file without end."""
    if not given.endswith(".json"):
        return given
    try:
        return str(json.loads(Path(given).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"--scheduler {given} is no scheduler's file: {describe_error(error)}") from None
