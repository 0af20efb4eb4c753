"""The forkserver: a process that forks workers and reports how they ended.

The forkserver runs no foreign code. A fork of it is therefore as clean as a new process, but starts at once. It answers
one request at a time. It ends with the client and then kills the last worker.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.worker.serve import serve
from bnconform_adapters.worker.wire import FAILED

LONGEST = 1 << 16
"""Largest request in bytes; most of a request is the path."""

_NAP = 0.001


def main(descriptor: int) -> None:
    """Answer requests from a socket until the client is gone."""
    worker = 0
    with socket.socket(fileno=descriptor) as control:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, LONGEST, 2)
            if not data:
                break
            request: dict[str, Any] = json.loads(data)
            if "spec" in request:
                worker = _start(control, request, descriptors)
                answer: dict[str, Any] = {"pid": worker}
            else:
                if request["abort"]:
                    os.kill(worker, signal.SIGABRT)
                answer = _end(worker, request["grace"])
                worker = 0
            try:
                control.sendall(json.dumps(answer).encode())
            except ConnectionError:  # the client was stopped before it got the answer
                break
    if worker:
        _end(worker, 0.0)


def _start(control: socket.socket, request: dict[str, Any], descriptors: list[int]) -> int:
    """Fork a worker; the two descriptors are its connection and its output."""
    _import(request["modules"])
    pid = os.fork()  # OpenBLAS stops and restarts its threads around a fork
    if pid == 0:
        status = FAILED
        try:
            os.setpgid(0, 0)  # keeps Ctrl-C in a terminal away, and groups the worker with its child processes
            control.close()
            connection, output = descriptors
            sys.path[:] = request["path"]  # includes the folders that the client added
            serve(socket.socket(fileno=connection), output, request["spec"])
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)  # runs no exit handlers of the implementation
    with suppress(OSError):
        os.setpgid(pid, pid)  # parent and child both set the group, since either may run first
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _import(names: list[str]) -> None:
    """Import the modules that the worker will need, and discard what they print."""
    wanted = [name for name in names if name not in sys.modules]
    if not wanted:
        return
    shown, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        for name in wanted:
            with suppress(Exception):
                import_framework(name)
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nothing)


def _end(pid: int, grace: float) -> dict[str, Any]:
    """Wait `grace` seconds for a worker, then kill it; report how it ended."""
    deadline, killed = time.monotonic() + grace, False
    ended, status = os.waitpid(pid, os.WNOHANG)
    while not ended and time.monotonic() < deadline:
        time.sleep(_NAP)
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        killed = True
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)  # child processes of the worker
    return {"code": os.waitstatus_to_exitcode(status), "killed": killed}
