"""The forkserver: forks workers, and tells how they ended.

It runs no foreign code, so that it stays whole and a fork of it is as good as a new process, but there at once. It
answers one request at a time, and ends with the client, taking the last worker along.
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
"""Bytes of a request; a path is the longest thing in it."""

_NAP = 0.001


def main(descriptor: int) -> None:
    """Answer requests that come over a socket until the client is gone."""
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
            except ConnectionError:  # the client was stopped before it had its answer
                break
    if worker:
        _end(worker, 0.0)


def _start(control: socket.socket, request: dict[str, Any], descriptors: list[int]) -> int:
    """Fork a worker; it serves the connection and prints to the output that the descriptors stand for."""
    _import(request["modules"])
    pid = os.fork()  # OpenBLAS has threads, and handlers that stop and restart them around a fork
    if pid == 0:
        status = FAILED
        try:
            os.setpgid(0, 0)  # Ctrl-C in a terminal is not for the worker; what it starts ends with it
            control.close()
            connection, output = descriptors
            sys.path[:] = request["path"]  # folders that the client added are there for the implementation, too
            serve(socket.socket(fileno=connection), output, request["spec"])
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)  # without handlers that the implementation may have left
    with suppress(OSError):
        os.setpgid(pid, pid)  # whoever comes first
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _import(names: list[str]) -> None:
    """Import what the worker will need, if it is not here yet; what that prints is nobody's affair."""
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
    """Wait for a worker, kill it when the time of grace is over, and tell how it ended."""
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
        os.killpg(pid, signal.SIGKILL)  # what it started
    return {"code": os.waitstatus_to_exitcode(status), "killed": killed}
