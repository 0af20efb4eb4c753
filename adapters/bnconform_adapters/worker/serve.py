"""The worker: loads one implementation and calls it as it is told."""

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
from bnconform_adapters.contract import Adapter, AdapterError, Case, Finish, Outcome, describe_error
from bnconform_adapters.plain.calling import spoil_memory
from bnconform_adapters.registry import find, is_file, load
from bnconform_adapters.stack import with_room
from bnconform_adapters.worker.wire import Frames, WireError, from_claims, from_outcome, pack, to_case

CHUNK = 1 << 18
IMPORTED_EARLY = ("torch", "jax", "tensorflow")
"""Modules that the forkserver imports early if a worker has imported them: slow to import, safe to fork unused."""
SETTLED_EARLY = ("keras",)
"""And this of a bundled implementation: of a file nobody knows which backend it asks for before it imports it."""
CAUGHT = BaseException
"""In the suite's process Ctrl-C must end the run; here nothing that an implementation raises is meant for others."""


@with_room
def serve(connection: socket.socket, output: int, spec: str) -> None:
    """Serve requests until the client closes the connection.

    Parameters
    ----------
    output : int
        Descriptor that takes the place of standard output and standard error.
    spec : str
        The implementation as `--adapter` takes it.
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
    worker, frames, number = _Worker(adapter), Frames(), 0
    while data := connection.recv(CHUNK):
        frames.feed(data)
        while (request := frames.next()) is not None:
            for answer in worker.answers(request):
                number += 1  # two processes, after a fork, give the same ones
                connection.sendall(_packed(answer, number))


def interpreted() -> bool:
    """Whether Triton kernels of this process run in Triton's interpreter, which takes seconds for a large call."""
    return "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") == "1"


def imported_early(spec: str) -> list[str]:
    """What the forkserver may import for an implementation: of a file what it has imported by now."""
    if is_file(spec):
        return [name for name in IMPORTED_EARLY if name in sys.modules]
    return [name for name in IMPORTED_EARLY + SETTLED_EARLY if name in dict(find(spec).packages)]


def _settle(output: int) -> None:
    """Give what is printed to `output`, and keep a descriptor of it that says where a crash happened.

    There are no core files: shrinking goes through many crashes.
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


class _Worker:
    """Answers requests; keeps layers and unfinished calls under the client's numbers until it drops them."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._lives: dict[int, LayerCalls] = {}
        self._finishes: dict[int, Finish] = {}

    def answers(self, request: dict[str, Any]) -> Iterator[Outcome]:
        """Answers to a request: one for every outcome that it asks for, as soon as it is there."""
        for number in request.get("drop", ()):
            self._lives.pop(number, None)
            self._finishes.pop(number, None)
        cases = [to_case(case) for case in request.get("cases", ())]
        match request["do"]:
            case "steps":
                if request["spoilt"]:
                    spoil_memory(cases[0])
                life = LayerCalls(self._adapter, caught=CAUGHT)
                for case in cases:
                    yield life.call(case)
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
        """Run forward passes of a kept layer, or of a new one, which is built for the first case."""
        life = self._lives.setdefault(layer, LayerCalls(self._adapter, cases[0], CAUGHT))
        # A number fewer than cases: the first only says what the layer is built for.
        steps = cases[len(cases) - len(numbers) :]
        self._finishes |= zip(numbers, map(life.forward, steps), strict=True)
