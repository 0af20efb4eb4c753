"""The client's side of the forkserver: start the forkserver and send it requests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bnconform_adapters
import bnconform_reference
from bnconform_adapters.errors import StartError
from bnconform_adapters.frameworks import settle

_LONGEST = 1 << 12
"""Largest answer in bytes."""

_PROGRAM = """
import sys
sys.path[:0] = [root for root in sys.argv[2:] if root not in sys.path]
from bnconform_adapters.worker.forkserver import main
main(int(sys.argv[1]))
"""


class ForkServer:
    """A process that forks and ends workers, one at a time.

    Parameters
    ----------
    environment : mapping of str to str
        Additional environment variables of the process and its workers.

    Raises
    ------
    StartError
        The system has no fork.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        if not hasattr(os, "fork"):
            raise StartError("a worker process needs a POSIX system; pass --in-process to run the file in this one")
        settle()
        ours, theirs = socket.socketpair()
        # The path has only these folders: a user's file could hide a module of the standard library.
        roots = [str(Path(package.__path__[0]).parent) for package in (bnconform_adapters, bnconform_reference)]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-c", _PROGRAM, str(theirs.fileno()), *roots],
                pass_fds=[theirs.fileno()],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        self.close = weakref.finalize(self, _close, self._process, ours)

    def fork(self, spec: str, modules: list[str], descriptors: list[int]) -> int:
        """Start a worker with the given connection and output; return its process id."""
        pid: int = self._ask({"spec": spec, "modules": modules, "path": sys.path}, descriptors)["pid"]
        return pid

    def end(self, grace: float = 0.0, *, abort: bool = False) -> tuple[int, bool]:
        """Wait `grace` seconds for the worker, then kill it; return its exit code and True if it was killed.

        With `abort`, the worker first gets SIGABRT and prints its traceback.
        """
        answer = self._ask({"grace": grace, "abort": abort}, [])
        return answer["code"], answer["killed"]

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            answer = self._control.recv(_LONGEST)
        except OSError:
            answer = b""
        if not answer:
            raise StartError("the worker process cannot be started; pass --in-process to run the file in this one")
        found: dict[str, Any] = json.loads(answer)
        return found


def _close(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    process.wait()
