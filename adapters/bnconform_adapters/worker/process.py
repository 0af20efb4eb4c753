"""The client's side of a worker process: start it, exchange messages within limits, and report how it ended."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bnconform_adapters.contract import Outcome
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.exits import Exit
from bnconform_adapters.memory import held_by
from bnconform_adapters.worker.forkserver_client import ForkServer
from bnconform_adapters.worker.limits import Limits
from bnconform_adapters.worker.wire import FAILED, Frames, WireError, pack, to_outcome

CHUNK = 1 << 18
PRINTED = 1 << 14
"""Number of bytes of printed text to store, from the end; enough for the traceback of a crash."""
WATCH = 0.05
"""Seconds between two checks of the worker's memory."""
GRACE = 2.0
"""Seconds to wait for the end of a worker that closed its connection."""
LAST_WORD = 0.2
"""Seconds to wait for the traceback of a worker that hangs."""


@dataclass(frozen=True)
class Ending:
    """The end of a worker: its exit, and a description."""

    exit: Exit
    text: str


ENDED = Ending("exited", "the suite has ended it")


class Lost(Exception):
    """The worker is gone, or was killed at a limit."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.text)
        self.ending = ending


class Process:
    """The client's handle of one worker process.

    Parameters
    ----------
    forkserver : ForkServer
    spec : str
        The implementation, as for `--adapter`.
    limits : Limits
        Limits of the calls; each call records its needs there.
    modules : list of str
        Modules that the forkserver imports before it forks.

    Raises
    ------
    AdapterError
        The implementation cannot be loaded.
    Lost
        The worker ended while it loaded the implementation.
    """

    def __init__(self, forkserver: ForkServer, spec: str, limits: Limits, modules: list[str]) -> None:
        self._forkserver, self._spec, self._limits = forkserver, spec, limits
        self._frames, self._printed = Frames(), b""
        self._answers, self._base, self._peak, self._looked = 0, 0, 0, 0.0
        self.ending: Ending | None = None
        self.dropped: list[int] = []
        self._connection, theirs = socket.socketpair()
        self._output, output = os.pipe()
        self._close = weakref.finalize(self, _close_streams, self._connection, self._output)
        os.set_blocking(self._output, False)
        try:
            with theirs:
                self._pid = forkserver.fork(spec, modules, [theirs.fileno(), output])
        finally:
            os.close(output)
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._poll.register(self._output, select.POLLIN)
        self._base = self.held()
        self.about = self._receive(limits.loading)
        self._base = self.held()
        if "refused" in self.about:
            self.end()
            raise AdapterError(self.about["refused"])

    def send(self, message: dict[str, Any]) -> None:
        """Send a request, with the numbers of layers and calls that the worker may drop.

        Raises
        ------
        Lost
            The worker is gone, or reads no requests.
        """
        if self.ending is not None:
            raise Lost(self.ending)
        dropped, self.dropped = self.dropped, []
        self._connection.settimeout(self._limits.seconds)
        try:
            self._connection.sendall(pack(message | {"drop": dropped}))
        except TimeoutError:
            raise self._given_up("hung", "it no longer reads requests") from None
        except OSError:
            raise self._lost() from None

    def receive(self) -> Outcome:
        """Wait for the answer to a call.

        Raises
        ------
        Lost
            The worker is gone, or was killed at a limit.
        """
        start, first = time.monotonic(), not self._answers
        limit = self._limits.call(first=first)
        answer = self._receive(limit)
        now, self._answers = time.monotonic(), self._answers + 1
        if answer.get("number") != self._answers:
            raise self._given_up("crashed", "it answered twice, as after a fork in which both processes continue")
        if now - self._looked > WATCH:
            self._look()
        self._limits.came_back(now - start, self._peak, first=first)
        return to_outcome(answer["outcome"])

    def _receive(self, limit: float) -> Any:
        deadline = time.monotonic() + limit
        while True:
            try:
                message = self._frames.next()
            except WireError:
                raise self._given_up("crashed", "it wrote into its connection with the suite") from None
            if message is not None:
                return message
            left = deadline - time.monotonic()
            if left <= 0:
                self._limits.hung()
                raise self._given_up("hung", f"no answer within {limit:.3g} s", abort=True)
            ready = self._poll.poll(1000 * min(left, WATCH))
            if not ready:
                self._look()
            for descriptor, _ in ready:
                if descriptor == self._output:
                    if not self._drain():
                        self._poll.unregister(self._output)  # the implementation closed it
                    continue
                try:
                    data = self._connection.recv(CHUNK)
                except OSError:
                    data = b""
                if not data:
                    raise self._lost()
                self._frames.feed(data)

    def _drain(self) -> bool:
        """Read printed text and store its end; return True if there was any, and the output is still open."""
        try:
            data = os.read(self._output, CHUNK)
        except OSError:  # nothing there now
            return False
        self._printed = (self._printed + data)[-PRINTED:]
        return bool(data)

    def _drain_all(self) -> None:
        while self._drain():
            pass

    def held(self) -> int:
        """Return the worker's private memory in bytes, see :func:`held_by`."""
        return held_by(self._pid)

    def _look(self) -> None:
        """Kill the worker if it has grown too much."""
        self._looked = time.monotonic()
        limit, self._peak = self._limits.growth, self.held() - self._base
        if self._base and self._peak > limit:
            self._limits.overgrew()
            raise self._given_up("out of memory", f"it grew by more than {limit / 2**30:.3g} GiB", abort=True)

    def end(self, ending: Ending = ENDED) -> None:
        """Kill the worker, if it still runs; later uses of its layers report `ending`."""
        if self.ending is None:
            self._forkserver.end()
            self._ended(ending)

    def _given_up(self, exit: Exit, text: str, *, abort: bool = False) -> Lost:
        self._forkserver.end(LAST_WORD if abort else 0.0, abort=abort)
        self._drain_all()
        return self._ended(Ending(exit, text + (self._place() if abort else "")))

    def _lost(self) -> Lost:
        code, killed = self._forkserver.end(GRACE)
        if killed:
            return self._ended(Ending("crashed", "it closed its connection with the suite"))
        self._drain_all()
        if code < 0:
            return self._ended(Ending("crashed", f"{_signal(-code)}{self._place()}"))
        if code == FAILED:
            return self._ended(Ending("crashed", f"it damaged its own process{self._last_words()}"))
        return self._ended(Ending("exited", f"status {code}{self._last_words()}"))

    def _ended(self, ending: Ending) -> Lost:
        self.ending = ending
        self._close()
        return Lost(ending)

    def _place(self) -> str:
        """Read the place of a crash in the implementation's file from the traceback of :mod:`faulthandler`."""
        name = self._spec.partition(".py")[0].rpartition("/")[2] + ".py"
        printed = self._printed.decode(errors="replace").rpartition("Fatal Python error")[2]
        found = re.search(rf'File ".*{re.escape(name)}", line (\d+) in (\S+)', printed)
        return f" in {found[2]}, {name} line {found[1]}" if found else ""

    def _last_words(self) -> str:
        lines = self._printed.decode(errors="replace").strip().splitlines()
        return f"; the last that it printed: {lines[-1].strip()[:200]}" if lines else ""


def _signal(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _close_streams(connection: socket.socket, output: int) -> None:
    connection.close()
    with suppress(OSError):
        os.close(output)
