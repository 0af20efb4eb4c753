"""Workers that judge items: their interface, and the processes of this machine."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Any, Protocol

from bnconform.campaign.items import Item
from bnconform.campaign.judge_item import Orders, judge_item
from bnconform.campaign.session_cache import MEMORY
from bnconform_adapters.contract import describe_error
from bnconform_adapters.errors import AdapterError


@dataclass(frozen=True)
class Lost:
    """Failure of an item that gave no result.

    Attributes
    ----------
    why : str
    suite_failed : bool
        True if the suite raised, False if the judging process died.
    """

    why: str
    suite_failed: bool = False


class Workers(Protocol):
    """Processes that judge items, here or elsewhere."""

    @property
    def busy(self) -> int:
        """Number of items that the workers have."""

    def fill(self, pending: deque[Item]) -> None:
        """Take as many pending items as there is room for."""

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        """Wait at most `seconds` for an item to be finished; yield all finished items."""

    def close(self) -> None:
        """End the workers that were started."""


def _begin() -> None:
    """Make this process end when the campaign's process ends for any reason."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Process:
    """One worker process, which is replaced when it dies or uses too much memory."""

    def __init__(self) -> None:
        self.spec = ""
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, item: Item, orders: Orders) -> Future[dict[str, Any]]:
        """Let the process judge an item."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        self.spec = item.spec
        return self._pool.submit(judge_item, item, orders)

    def end(self) -> None:
        """End the process; the next item starts another."""
        if self._pool is not None:
            processes = list(self._pool._processes.values()) if self._pool._processes else []
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                with suppress(OSError):
                    process.terminate()
        self._pool, self.spec = None, ""


class LocalWorkers:
    """Processes of this machine; each stays with one implementation while there are items of it.

    Parameters
    ----------
    orders : Orders
    processes : int
    """

    def __init__(self, orders: Orders, processes: int) -> None:
        self._orders = orders
        self._free = [_Process() for _ in range(processes)]
        self._busy: dict[Future[dict[str, Any]], tuple[_Process, Item]] = {}

    @property
    def busy(self) -> int:
        return len(self._busy)

    def fill(self, pending: deque[Item]) -> None:
        while pending and self._free:
            taken = {process.spec for process, _ in self._busy.values()}
            specs = {item.spec for item in pending}
            process = next((one for one in self._free if one.spec in specs), self._free[0])
            item = next((one for one in pending if one.spec == process.spec), None)
            item = item or next((one for one in pending if one.spec not in taken), pending[0])
            pending.remove(item)
            self._free.remove(process)
            self._busy[process.submit(item, self._orders)] = (process, item)

    def finished(self, seconds: float) -> Iterator[tuple[Item, dict[str, Any] | Lost]]:
        done, _ = wait(self._busy, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            process, item = self._busy.pop(future)
            self._free.append(process)
            try:
                entry = future.result()
            except BrokenProcessPool:
                process.end()
                yield item, Lost("the process that judged it died")
            except AdapterError as error:  # for example, the file is gone; the implementation is not at fault
                raise AdapterError(f"{item.spec} cannot be judged any more: {error}") from None
            except Exception as error:
                yield item, Lost(describe_error(error), suite_failed=True)
            else:
                if sum(entry["memory"].values()) << 20 >= MEMORY:
                    process.end()
                yield item, entry

    def close(self) -> None:
        for process in [*self._free, *(process for process, _ in self._busy.values())]:
            process.end()
        self._busy.clear()
