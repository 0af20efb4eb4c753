"""A Dask cluster's workers as those of a campaign; it judges the same items as processes of this machine."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from bnconform.campaign.items import Item
from bnconform.campaign.judging import Orders, judge_item
from bnconform.campaign.workers import Lost
from bnconform_adapters.contract import AdapterError, describe_error

AHEAD = 2
"""Items that a worker has at a time, so that none waits for the next one."""
ENDED = "the connection to the scheduler is lost; with one that runs, the same command goes on"


class ClusterWorkers:
    """The workers of a Dask cluster. Candidate files have to be at the same path there.

    Parameters
    ----------
    orders : Orders
    address : str
        The scheduler's, as ``tcp://HOST:8786``, or a file that it wrote.

    Raises
    ------
    AdapterError
        Dask is not installed, or there is no such scheduler.
    """

    def __init__(self, orders: Orders, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise AdapterError("--scheduler needs Dask: pip install 'bnconform[campaign]'") from None
        try:
            self._client: Any = Client(_address(address), timeout=10)
        except (OSError, ValueError) as error:
            raise AdapterError(f"--scheduler {address} does not answer: {describe_error(error)}") from None
        self._orders = orders
        self._busy: dict[Any, Item] = {}

    @property
    def busy(self) -> int:
        """See :class:`~bnconform.campaign.workers.Workers`."""
        return len(self._busy)

    def fill(self, pending: deque[Item]) -> None:
        """See :class:`~bnconform.campaign.workers.Workers`."""
        try:
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except OSError:
            raise AdapterError(ENDED) from None
        while pending and len(self._busy) < AHEAD * max(workers, 1):
            item = pending.popleft()
            self._busy[self._client.submit(judge_item, item, self._orders, pure=False)] = item

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        """See :class:`~bnconform.campaign.workers.Workers`."""
        from distributed import KilledWorker
        from distributed import wait as wait_for

        try:
            done, _ = wait_for(list(self._busy), timeout=seconds, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return
        except CancelledError:
            raise AdapterError(ENDED) from None
        for future in done:
            item = self._busy.pop(future)
            try:
                yield item, future.result()
            except KilledWorker:
                yield item, Lost("the process that judged it died")
            except AdapterError as error:  # of the worker's machine; it says nothing of what is judged
                raise AdapterError(f"a worker of the cluster cannot judge {item.spec}: {error}") from None
            except CancelledError:
                raise AdapterError(ENDED) from None
            except Exception as error:
                yield item, Lost(f"judging it raised {describe_error(error)}")

    def close(self) -> None:
        """See :class:`~bnconform.campaign.workers.Workers`."""
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
