"""Functions that call an implementation: one layer in turn or from several threads, with exceptions as Outcomes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeAlias, runtime_checkable

from bnconform_adapters.contract import (
    Adapter,
    Case,
    Finish,
    GivesPopulation,
    GivesSecondOrder,
    GivesTangents,
    Layer,
    Outcome,
    RunsShards,
    describe_error,
)
from bnconform_adapters.exits import exit_of
from bnconform_adapters.plain.calling import spoil_memory


@runtime_checkable
class Remote(Protocol):
    """An adapter whose implementation runs in another process: it does several calls at once, and never raises."""

    def run_steps(self, cases: Sequence[Case], *, spoilt: bool = False) -> list[Outcome]:
        """See the function of this name."""

    def run_together(self, cases: Sequence[Case], threads: int) -> list[Outcome]:
        """See the function of this name."""

    def forward_passes(self, cases: Sequence[Case]) -> list[Finish]:
        """See the function of this name."""


@runtime_checkable
class Restartable(Protocol):
    """A layer that can replace its parameters and statistics in place; any other layer is built again instead."""

    def restart(self, case: Case) -> None:
        """Load or reset parameters and statistics as ``case.before`` says."""


Caught: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
CAUGHT: Caught = (Exception, SystemExit)
"""Exceptions that end a call, not the run, if the implementation runs in this process."""


class LayerCalls:
    """One layer that is called several times.

    Parameters and statistics come from the first case, and from cases that load or reset them. An exception ends
    one call only and becomes that Outcome's `error`. Warnings are ignored, also if the session turns warnings into
    errors.

    Parameters
    ----------
    adapter : Adapter
    first : Case or None
        The case that the layer is built for; None takes the first call's case.
    caught : exception types
        Exceptions that end only the call.
    """

    def __init__(self, adapter: Adapter, first: Case | None = None, caught: Caught = CAUGHT) -> None:
        self._adapter = adapter
        self._first = first
        self._caught = caught
        self._layer: Layer | None = None

    def forward(self, case: Case) -> Finish:
        """Run a forward pass and return a function that runs the rest."""
        if self._first is None or case.before != "nothing":
            self._first = case
        with quiet():
            try:
                finish = self._ready(case)(case)
            except self._caught as error:
                outcome = failure(error)
                return lambda: outcome
        return _guarded(finish, self._caught)

    def call(self, case: Case) -> Outcome:
        """Run a whole call."""
        return self.forward(case)()

    def _ready(self, case: Case) -> Layer:
        assert self._first is not None
        if self._layer is not None and case.before != "nothing":
            if isinstance(self._layer, Restartable):
                self._layer.restart(case)
            else:
                self._layer = None
        if self._layer is None:
            self._layer = self._adapter.layer(self._first)
        return self._layer


def run_steps(adapter: Adapter, cases: Sequence[Case], *, spoilt: bool = False) -> list[Outcome]:
    """Call one new layer with each case in turn; `spoilt` fills memory with NaN first."""
    if isinstance(adapter, Remote):
        return adapter.run_steps(cases, spoilt=spoilt)
    if spoilt:
        spoil_memory(cases[0])
    calls = LayerCalls(adapter)
    return [calls.call(case) for case in cases]


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings. Filters are global, so only the main thread sets them; its block must enclose other threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def failure(error: BaseException) -> Outcome:
    """Return the Outcome of a call that raised."""
    message = describe_error(error)
    return Outcome(error=message, exit=exit_of(error, message))


def _guarded(finish: Finish, caught: Caught) -> Finish:
    def guarded() -> Outcome:
        with quiet():
            try:
                return finish()
            except caught as error:
                return failure(error)

    return guarded


def forward_passes(adapter: Adapter, cases: Sequence[Case]) -> list[Finish]:
    """Run the forward passes of one new layer; the caller may finish them in any order and more than once."""
    if isinstance(adapter, Remote):
        return adapter.forward_passes(cases)
    calls = LayerCalls(adapter)
    return [calls.forward(case) for case in cases]


def run_together(adapter: Adapter, cases: Sequence[Case], threads: int, caught: Caught = CAUGHT) -> list[Outcome]:
    """Call a new layer with each case, from several threads at once.

    The two passes of a call are separate tasks. A backward pass therefore often runs in another thread than its forward
    pass, as in PyTorch's autograd.
    """
    if isinstance(adapter, Remote):
        return adapter.run_together(cases, threads)
    with quiet(), ThreadPoolExecutor(threads) as pool:
        finishes = list(pool.map(lambda case: LayerCalls(adapter, caught=caught).forward(case), cases))
        return list(pool.map(lambda finish: finish(), finishes))


def run(adapter: Adapter, case: Case) -> Outcome:
    """Call a new layer once."""
    return run_steps(adapter, [case])[0]


def second_order(adapter: Adapter, case: Case, caught: Caught = CAUGHT) -> Outcome:
    """Return second-order gradients of a new layer; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesSecondOrder)
    return _guarded(lambda: adapter.second_order(case), caught)()


def jvp(adapter: Adapter, case: Case, caught: Caught = CAUGHT) -> Outcome:
    """Return the tangent of y of a new layer; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesTangents)
    return _guarded(lambda: adapter.jvp(case), caught)()


def shards(adapter: Adapter, cases: Sequence[Case], caught: Caught = CAUGHT) -> list[Outcome]:
    """Run one step of a new layer over several devices, one case on each; an exception becomes `error` of all."""
    assert isinstance(adapter, RunsShards)
    found: list[Outcome] = []

    def step() -> Outcome:
        found.extend(adapter.shards(cases))
        return Outcome()

    failed = _guarded(step, caught)()
    return found if failed.error is None else [failed] * len(cases)


def population(adapter: Adapter, cases: Sequence[Case], caught: Caught = CAUGHT) -> Outcome:
    """Return statistics of the data set whose batches are the cases' x; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesPopulation)
    return _guarded(lambda: adapter.population(cases), caught)()
