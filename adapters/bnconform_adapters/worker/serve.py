"""The worker process: it loads one implementation and calls it on request."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from bnconform_adapters.calls import LayerCalls, jvp, population, run_together, second_order, shards
from bnconform_adapters.candidate.interpreter import interpreted
from bnconform_adapters.contract import Adapter, Case, Finish, Outcome, describe_error
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.frameworks import forget_compiled
from bnconform_adapters.memory import held_by
from bnconform_adapters.plain.calling import spoil_memory
from bnconform_adapters.registry import find, is_file, load
from bnconform_adapters.stack import with_room
from bnconform_adapters.worker.limits import MEMORY
from bnconform_adapters.worker.wire import Frames, WireError, from_claims, from_outcome, pack, to_case

CHUNK = 1 << 18
IMPORTED_EARLY = ("torch", "jax", "tensorflow")
"""Modules that the forkserver imports early if a worker has imported them. They are slow to import, and a fork is safe
while they are unused."""
SETTLED_EARLY = ("keras",)
"""Modules imported early for bundled implementations only: a file may choose the backend just before its import."""
PROGRAMS = MEMORY // 2
"""Bytes by which the process may grow until JAX forgets its programs: half of what ends the worker."""
CAUGHT = BaseException
"""Exceptions that end a call in the worker: all. In the suite's process, Ctrl-C must end the run instead."""


@with_room
def serve(connection: socket.socket, output: int, spec: str) -> None:
    """Serve requests until the client closes the connection.

    Parameters
    ----------
    output : int
        Descriptor that replaces standard output and standard error.
    spec : str
        The implementation, as for `--adapter`.
    """
    _settle(output)
    try:
        adapter = load(spec)
    except AdapterError as error:
        connection.sendall(pack({"refused": str(error)}))
        return
    except CAUGHT as error:
        connection.sendall(pack({"refused": f"{spec} cannot be imported: {describe_error(error)}"}))
        return
    about = {
        "name": adapter.name,
        "claims": from_claims(adapter.claims),
        "modules": imported_early(spec),
        "interpreted": interpreted(),
        "plain_code": getattr(adapter, "plain_code", ""),
        "what": getattr(adapter, "what", ""),
        "remarks": list(getattr(adapter, "remarks", ())),
    }
    connection.sendall(pack(about))
    worker, frames, number, programs = _Worker(adapter), Frames(), 0, _Programs()
    while data := connection.recv(CHUNK):
        frames.feed(data)
        while (request := frames.next()) is not None:
            for answer in worker.answers(request):
                number += 1  # shows a fork: two processes send the same numbers
                connection.sendall(_packed(answer, number))
            programs.forget_some()


def imported_early(spec: str) -> list[str]:
    """Return the modules that the forkserver may import early; for a file, those that it has already imported."""
    if is_file(spec):
        return [name for name in IMPORTED_EARLY if name in sys.modules]
    return [name for name in IMPORTED_EARLY + SETTLED_EARLY if name in dict(find(spec).packages)]


def _settle(output: int) -> None:
    """Redirect printed text and crash tracebacks to `output`.

    Core files are disabled, because shrinking causes many crashes.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for standard in (1, 2):
        os.dup2(output, standard)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable(output)


def _packed(answer: Outcome, number: int) -> bytes:
    try:
        return pack({"number": number, "outcome": from_outcome(answer)})
    except WireError as error:
        return _packed(Outcome(error=f"TypeError: returned {error}"), number)


class _Programs:
    """The programs that JAX has compiled in this process: 1.5 MiB for every operation and new shape, measured."""

    def __init__(self) -> None:
        self._held = held_by(os.getpid())

    def forget_some(self) -> None:
        """Free the programs if the process has grown by much; those that are needed are compiled again."""
        if "jax" in sys.modules and held_by(os.getpid()) - self._held > PROGRAMS:
            forget_compiled()
            self._held = held_by(os.getpid())


class _Worker:
    """The part of the worker that answers requests; it stores layers and open calls until the client drops them."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._layers: dict[int, LayerCalls] = {}
        self._finishes: dict[int, Finish] = {}

    def answers(self, request: dict[str, Any]) -> Iterator[Outcome]:
        """Yield the outcomes that a request asks for, each as soon as it is complete."""
        for number in request.get("drop", ()):
            self._layers.pop(number, None)
            self._finishes.pop(number, None)
        cases = [to_case(case) for case in request.get("cases", ())]
        match request["do"]:
            case "steps":
                if request["spoilt"]:
                    spoil_memory(cases[0])
                calls = LayerCalls(self._adapter, caught=CAUGHT)
                for case in cases:
                    yield calls.call(case)
            case "together":
                yield from run_together(self._adapter, cases, request["threads"], CAUGHT)
            case "forward":
                self._forward(request["layer"], cases, request["numbers"])
                yield Outcome()
            case "finish":
                yield self._finishes[request["number"]]()
            case "population":
                yield population(self._adapter, cases, CAUGHT)
            case "shards":
                yield from shards(self._adapter, cases, CAUGHT)
            case "second_order":
                yield second_order(self._adapter, cases[0], CAUGHT)
            case "jvp":
                yield jvp(self._adapter, cases[0], CAUGHT)

    def _forward(self, layer: int, cases: list[Case], numbers: list[int]) -> None:
        """Run forward passes of a stored layer, or of a new one that is built for the first case."""
        calls = self._layers.setdefault(layer, LayerCalls(self._adapter, cases[0], CAUGHT))
        # If there is one case more than numbers, the first case only builds the layer.
        steps = cases[len(cases) - len(numbers) :]
        self._finishes |= zip(numbers, map(calls.forward, steps), strict=True)
