"""An adapter whose implementation runs in a worker process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from threading import RLock
from types import TracebackType
from typing import Any

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, AdapterError, Case, Finish, Layer, Outcome, StartError
from bnconform_adapters.registry import environment, find, is_file, load, own_process
from bnconform_adapters.worker.forkserver_client import ForkServer
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions, Limits
from bnconform_adapters.worker.process import Ending, Lost, Process
from bnconform_adapters.worker.serve import imported_early
from bnconform_adapters.worker.wire import from_case, to_claims


class Starter:
    """The forkserver of an implementation, and the modules that it imports before it forks the next worker."""

    def __init__(self, spec: str, modules: list[str] | None = None) -> None:
        self.forkserver, self.modules = ForkServer(environment(spec)), modules or []


_kept: tuple[object, Starter] | None = None
"""Of the last fresh process; one at a time, since a framework takes memory."""


def _starter_of(spec: str) -> Starter:
    """A starter for fresh processes that has imported what `spec` needs, if the last one was for the like."""
    global _kept
    key = spec if is_file(spec) else (find(spec).packages, find(spec).environment)
    if _kept is None or _kept[0] != key or not _kept[1].forkserver.close.alive:
        if _kept is not None:
            _kept[1].forkserver.close()
        _kept = key, Starter(spec, [] if is_file(spec) else imported_early(spec))
    return _kept[1]


class WorkerAdapter:
    """The implementation of a `--adapter` specification, called in a process of its own.

    A call whose Outcome has a exit ends the process; the next call finds a new one.

    Parameters
    ----------
    spec : str
        ``PATH.py[:NAME]``, or the name of a bundled implementation.
    limits : Limits or None
        None takes the default ones, see :meth:`Limits.of`.
    started_by : Starter or None
        What forks its processes, which stays open when this is closed; None makes one for this alone.

    Raises
    ------
    AdapterError
        The implementation cannot be loaded: it is not there, raises, crashes, hangs or exits.
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
        """What a reader of the verdict must know of the claims."""
        self.interpreted: bool = self._process.about["interpreted"]
        """Whether its kernels run in Triton's interpreter."""
        if self.interpreted:
            self._limits.interpreted()
        self.claims: Claims = replace(to_claims(self._process.about["claims"]), own_process=True)
        self.frameworks: tuple[str, ...] = tuple(self._process.about["modules"])
        """Modules of the large frameworks that it has imported."""

    def limit_loading(self, longest: float) -> None:
        """Set how many seconds a first call, or loading again, may take at most."""
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. They end with the adapter, or with this program, in any case."""
        self._process.end()
        self._close_starter()

    def held(self) -> int:
        """Bytes that the implementation's process holds for itself; 0 where it is gone or the system does not tell."""
        return 0 if self._process.ending else self._process.held()

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`. What building it raises, its steps tell."""
        with self._lock:
            try:
                process = self._ready()
            except Lost as lost:
                outcome = _outcome(lost)
                return lambda case: lambda: outcome
            return _RemoteLayer(self, process, next(self._numbers), case)

    def run_steps(self, cases: Sequence[Case], *, spoilt: bool = False) -> list[Outcome]:
        """See :func:`~bnconform_adapters.contract.run_steps`; one round trip."""
        return self._ask({"do": "steps", "cases": list(map(from_case, cases)), "spoilt": spoilt}, len(cases))

    def run_together(self, cases: Sequence[Case], threads: int) -> list[Outcome]:
        """See :func:`~bnconform_adapters.contract.run_together`; the threads are the worker's."""
        return self._ask({"do": "together", "cases": list(map(from_case, cases)), "threads": threads}, len(cases))

    def population(self, cases: Sequence[Case]) -> Outcome:
        """The statistics of a whole data set, where the implementation claims to give them."""
        return self._ask({"do": "population", "cases": list(map(from_case, cases))}, 1)[0]

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """One step over several devices, where the implementation claims to make it."""
        return self._ask({"do": "shards", "cases": list(map(from_case, cases))}, len(cases))

    def second_order(self, case: Case) -> Outcome:
        """Second-order gradients, where the implementation claims to give them."""
        return self._ask({"do": "second_order", "cases": [from_case(case)]}, 1)[0]

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y, where the implementation claims to give it."""
        return self._ask({"do": "jvp", "cases": [from_case(case)]}, 1)[0]

    def forward_passes(self, cases: Sequence[Case]) -> list[Finish]:
        """See :func:`~bnconform_adapters.contract.forward_passes`; one round trip."""
        layer: Any = self.layer(cases[0])
        return layer.forward(cases) if isinstance(layer, _RemoteLayer) else [layer(case) for case in cases]

    def forward(self, process: Process, layer: int, cases: Sequence[Case], steps: int) -> list[Finish]:
        """Run the last `steps` cases through the layer of this number, which is built for the first case if new."""
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
        """The worker, or a new one where it is gone."""
        if self._process.ending is not None:
            try:
                self._process = self._start()
            except StartError:
                raise
            except AdapterError as error:
                raise Lost(Ending("crashed", f"and cannot be loaded again: {error}")) from None
        return self._process

    def _ask(self, message: dict[str, Any], answers: int, process: Process | None = None) -> list[Outcome]:
        """Outcomes in answer to a request; a worker that is lost loses those that are still to come."""
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
    """The implementation of an adapter's specification.

    A file runs in a worker unless `calls` says otherwise; a bundled one runs here, or in a worker where it needs a
    process of its own.

    Raises
    ------
    AdapterError
        It cannot be loaded.
    """
    if calls.in_process or not own_process(spec):
        yield load(spec)
        return
    with WorkerAdapter(spec, Limits.of(spec, calls)) as adapter:
        yield adapter


def run_once(spec: str, case: Case, limits: Limits | None = None) -> Outcome:
    """Call an implementation, named as for `--adapter`, once in a process that has called nothing before."""
    try:
        with WorkerAdapter(spec, limits, started_by=_starter_of(spec)) as adapter:
            return adapter.run_steps([case])[0]
    except AdapterError as error:
        return Outcome(error=str(error))


def _outcome(lost: Lost) -> Outcome:
    return Outcome(error=lost.ending.text, exit=lost.ending.exit)


class _RemoteLayer:
    """A layer that the worker keeps until this is forgotten."""

    def __init__(self, adapter: WorkerAdapter, process: Process, number: int, built_for: Case) -> None:
        self._adapter, self._process, self._number, self._built_for = adapter, process, number, built_for

    def __call__(self, case: Case) -> Finish:
        return self._adapter.forward(self._process, self._number, [self._built_for, case], 1)[0]

    def restart(self, case: Case) -> None:
        """Nothing to do: the worker does what ``case.before`` says when it is called with the case."""

    def forward(self, cases: Sequence[Case]) -> list[Finish]:
        """Several steps at once; the first case is the one that the layer is built for."""
        return self._adapter.forward(self._process, self._number, cases, len(cases))

    def __del__(self) -> None:
        self._process.dropped.append(self._number)


class _RemoteFinish:
    """A call that the worker has begun, and keeps until this is forgotten."""

    def __init__(self, adapter: WorkerAdapter, process: Process, number: int) -> None:
        self._adapter, self._process, self._number = adapter, process, number

    def __call__(self) -> Outcome:
        return self._adapter.finish(self._process, self._number)

    def __del__(self) -> None:
        self._process.dropped.append(self._number)
