"""The adapter of an implementation that runs in a worker process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from threading import RLock
from typing import Any

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case, Finish, Layer, Outcome
from bnconform_adapters.errors import AdapterError, StartError
from bnconform_adapters.registry import environment, find, is_file, load, own_process
from bnconform_adapters.worker.forkserver_client import ForkServer
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions, Limits
from bnconform_adapters.worker.process import Ending, Lost, Process
from bnconform_adapters.worker.serve import imported_early
from bnconform_adapters.worker.wire import from_case, to_claims


class Starter:
    """The forkserver of an implementation, and the modules to import before the next worker is forked."""

    def __init__(self, spec: str, modules: list[str] | None = None) -> None:
        self.forkserver, self.modules = ForkServer(environment(spec)), modules or []


_last_starter: tuple[object, Starter] | None = None
"""The key and the starter of the last fresh process. Only one is cached, since a framework takes memory."""


def _starter_of(spec: str) -> Starter:
    """Return a starter for fresh processes; the last one is used again if it imported the same packages."""
    global _last_starter
    key = spec if is_file(spec) else (find(spec).packages, find(spec).environment)
    if _last_starter is None or _last_starter[0] != key or not _last_starter[1].forkserver.close.alive:
        if _last_starter is not None:
            _last_starter[1].forkserver.close()
        _last_starter = key, Starter(spec, [] if is_file(spec) else imported_early(spec))
    return _last_starter[1]


class WorkerAdapter:
    """The adapter of a `--adapter` specification that runs in a separate process.

    A call whose Outcome has an exit ends the process; the next call starts a new one.

    Parameters
    ----------
    spec : str
        ``PATH.py[:NAME]``, or the name of a bundled implementation.
    limits : Limits or None
        None takes the default limits, see :meth:`Limits.of`.
    started_by : Starter or None
        A starter to share, which stays open when this adapter is closed; None starts an own one.

    Raises
    ------
    AdapterError
        The implementation cannot be loaded: it does not exist, raises, crashes, hangs or exits.
    """

    def __init__(self, spec: str, limits: Limits | None = None, started_by: Starter | None = None) -> None:
        self._spec = spec
        self._limits = limits or Limits.of(spec)
        self._numbers, self._lock = count(), RLock()
        self._starter, self._own = started_by or Starter(spec), started_by is None
        try:
            self._process = self._start()
        except Lost as lost:
            self._close_starter()
            raise AdapterError(f"{spec} cannot be imported: {lost.ending.exit}: {lost.ending.text}") from None
        except AdapterError:
            self._close_starter()
            raise
        self.name: str = self._process.about["name"]
        self.plain_code: str = self._process.about["plain_code"]
        self.what: str = self._process.about["what"]
        """The part of a file that is judged."""
        self.remarks: tuple[str, ...] = tuple(self._process.about["remarks"])
        """Notes on the claims that the reader of a verdict needs."""
        self.interpreted: bool = self._process.about["interpreted"]
        """Whether its kernels run in Triton's interpreter."""
        if self.interpreted:
            self._limits.interpreted()
        self.claims: Claims = replace(to_claims(self._process.about["claims"]), own_process=True)
        self.frameworks: tuple[str, ...] = tuple(self._process.about["modules"])
        """Modules of large frameworks that the implementation has imported."""

    def limit_loading(self, longest: float) -> None:
        """Set the largest time limit in seconds of a first call, or of loading again."""
        self._limits.longest = longest

    def _start(self) -> Process:
        process = Process(self._starter.forkserver, self._spec, self._limits, self._starter.modules)
        self._starter.modules = process.about["modules"]
        return process

    def _close_starter(self) -> None:
        if self._own:
            self._starter.forkserver.close()

    def __enter__(self) -> WorkerAdapter:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. They also end with the adapter object, or with this program."""
        self._process.end()
        self._close_starter()

    def held(self) -> int:
        """Return the private memory of the implementation's process in bytes; 0 if it is gone or not known."""
        return 0 if self._process.ending else self._process.held()

    def layer(self, case: Case) -> Layer:
        """Return a layer; see :class:`~bnconform_adapters.contract.Adapter`. Its steps report errors of building it."""
        with self._lock:
            try:
                process = self._ready()
            except Lost as lost:
                outcome = _outcome(lost)
                return lambda case: lambda: outcome
            return _RemoteLayer(self, process, next(self._numbers), case)

    def run_steps(self, cases: Sequence[Case], *, spoilt: bool = False) -> list[Outcome]:
        """Run :func:`~bnconform_adapters.calls.run_steps` in the worker, in one round trip."""
        return self._ask({"do": "steps", "cases": list(map(from_case, cases)), "spoilt": spoilt}, len(cases))

    def run_together(self, cases: Sequence[Case], threads: int) -> list[Outcome]:
        """Run :func:`~bnconform_adapters.calls.run_together` with threads of the worker."""
        return self._ask({"do": "together", "cases": list(map(from_case, cases)), "threads": threads}, len(cases))

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Return the statistics of a whole data set, if the implementation claims `population`."""
        return self._ask({"do": "population", "cases": list(map(from_case, cases))}, 1)[0]

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """Run one step over several devices, if the implementation claims `shards`."""
        return self._ask({"do": "shards", "cases": list(map(from_case, cases))}, len(cases))

    def second_order(self, case: Case) -> Outcome:
        """Return second-order gradients, if the implementation claims `second_order`."""
        return self._ask({"do": "second_order", "cases": [from_case(case)]}, 1)[0]

    def jvp(self, case: Case) -> Outcome:
        """Return the tangent of y, if the implementation claims `forward_mode`."""
        return self._ask({"do": "jvp", "cases": [from_case(case)]}, 1)[0]

    def forward_passes(self, cases: Sequence[Case]) -> list[Finish]:
        """Run :func:`~bnconform_adapters.calls.forward_passes` in the worker, in one round trip."""
        layer: Any = self.layer(cases[0])
        return layer.forward(cases) if isinstance(layer, _RemoteLayer) else [layer(case) for case in cases]

    def forward(self, process: Process, layer: int, cases: Sequence[Case], steps: int) -> list[Finish]:
        """Run the last `steps` cases through the layer of this number; a new layer is built for the first case."""
        with self._lock:
            numbers = [next(self._numbers) for _ in range(steps)]
            message = {"do": "forward", "layer": layer, "cases": list(map(from_case, cases)), "numbers": numbers}
            try:
                process.send(message)
                process.receive()
            except Lost as lost:
                outcome = _outcome(lost)
                return [lambda: outcome] * steps
            return [_RemoteFinish(self, process, number) for number in numbers]

    def finish(self, process: Process, number: int) -> Outcome:
        """Finish the forward pass of this number, in the process that ran it."""
        return self._ask({"do": "finish", "number": number}, 1, process)[0]

    def _ready(self) -> Process:
        """Return the worker, or a new one if the worker is gone."""
        if self._process.ending is not None:
            try:
                self._process = self._start()
            except StartError:
                raise
            except AdapterError as error:
                raise Lost(Ending("crashed", f"it cannot be loaded again: {error}")) from None
        return self._process

    def _ask(self, message: dict[str, Any], answers: int, process: Process | None = None) -> list[Outcome]:
        """Send a request and return its outcomes; if the worker is lost, the missing ones say so."""
        outcomes: list[Outcome] = []
        with self._lock:
            try:
                process = process or self._ready()
                process.send(message)
                while len(outcomes) < answers:
                    outcome = process.receive()
                    outcomes.append(outcome)
                    if outcome.exit:
                        process.end(Ending(outcome.exit, outcome.error or ""))
                        break
            except Lost as lost:
                outcomes.append(_outcome(lost))
        return outcomes + outcomes[-1:] * (answers - len(outcomes))


@contextmanager
def opened(spec: str, calls: CallOptions = DEFAULTS) -> Iterator[Adapter]:
    """Open the adapter of a specification, and close it at the end of the block.

    A file runs in a worker, unless ``calls.in_process`` is set. A bundled implementation runs in this process, or in a
    worker if it needs a separate process.

    Raises
    ------
    AdapterError
        The implementation cannot be loaded.
    """
    if calls.in_process or not own_process(spec):
        yield load(spec)
        return
    with WorkerAdapter(spec, Limits.of(spec, calls)) as adapter:
        yield adapter


def run_once(spec: str, case: Case, limits: Limits | None = None) -> Outcome:
    """Call the implementation of a `--adapter` specification once, in a process that has called nothing before."""
    try:
        with WorkerAdapter(spec, limits, started_by=_starter_of(spec)) as adapter:
            return adapter.run_steps([case])[0]
    except AdapterError as error:
        return Outcome(error=str(error))


def _outcome(lost: Lost) -> Outcome:
    return Outcome(error=lost.ending.text, exit=lost.ending.exit)


class _RemoteLayer:
    """A layer that the worker stores as long as this object exists."""

    def __init__(self, adapter: WorkerAdapter, process: Process, number: int, built_for: Case) -> None:
        self._adapter, self._process, self._number, self._built_for = adapter, process, number, built_for

    def __call__(self, case: Case) -> Finish:
        return self._adapter.forward(self._process, self._number, [self._built_for, case], 1)[0]

    def restart(self, case: Case) -> None:
        """Do nothing: the worker reads ``case.before`` in the next call."""

    def forward(self, cases: Sequence[Case]) -> list[Finish]:
        """Run several steps in one request; the layer is built for the first case."""
        return self._adapter.forward(self._process, self._number, cases, len(cases))

    def __del__(self) -> None:
        self._process.dropped.append(self._number)


class _RemoteFinish:
    """A started call that the worker stores as long as this object exists."""

    def __init__(self, adapter: WorkerAdapter, process: Process, number: int) -> None:
        self._adapter, self._process, self._number = adapter, process, number

    def __call__(self) -> Outcome:
        return self._adapter.finish(self._process, self._number)

    def __del__(self) -> None:
        self._process.dropped.append(self._number)
