"""Calling an implementation: one layer and its calls, several threads, exceptions as Outcomes."""

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
    """An adapter whose implementation runs elsewhere: it makes several calls in one go, and never raises."""

    def run_steps(self, cases: Sequence[Case], *, spoilt: bool = False) -> list[Outcome]:
        """See the function of this name."""

    def run_together(self, cases: Sequence[Case], threads: int) -> list[Outcome]:
        """See the function of this name."""

    def forward_passes(self, cases: Sequence[Case]) -> list[Finish]:
        """See the function of this name."""


@runtime_checkable
class Restartable(Protocol):
    """A layer that takes parameters and statistics over in place; any other is built anew instead."""

    def restart(self, case: Case) -> None:
        """Do what ``case.before`` says."""


Caught: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
CAUGHT: Caught = (Exception, SystemExit)
"""What ends a call and not the run, where the implementation runs in this process."""


class LayerCalls:
    """One layer and its calls, one after the other.

    Parameters and statistics come from the first case, and from those that load or reset them. An exception ends
    its own call only: it becomes that Outcome's `error`. Warnings are the implementation's own affair, also where
    the session turns them into errors.

    Parameters
    ----------
    adapter : Adapter
    first : Case or None
        What the layer is built for; None takes the first call's case.
    caught : exception types
        What ends a call only.
    """

    def __init__(self, adapter: Adapter, first: Case | None = None, caught: Caught = CAUGHT) -> None:
        self._adapter = adapter
        self._first = first
        self._caught = caught
        self._layer: Layer | None = None

    def forward(self, case: Case) -> Finish:
        """Run a forward pass; what is returned runs the rest."""
        if self._first is None or case.before != "nothing":
            self._first = case
        with quiet():
            try:
                finish = self._ready(case)(case)
            except self._caught as error:
                return _failed(error)
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
    """Call one new layer with each case in turn; `spoilt` fills memory with NaN just before."""
    if isinstance(adapter, Remote):
        return adapter.run_steps(cases, spoilt=spoilt)
    if spoilt:
        spoil_memory(cases[0])
    life = LayerCalls(adapter)
    return [life.call(case) for case in cases]


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings: in the main thread only, since filters are global; it has to wrap the others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def failure(error: BaseException) -> Outcome:
    """The Outcome of a call that raised."""
    message = describe_error(error)
    return Outcome(error=message, exit=exit_of(error, message))


def _failed(error: BaseException) -> Finish:
    outcome = failure(error)
    return lambda: outcome


def _guarded(finish: Finish, caught: Caught) -> Finish:
    def guarded() -> Outcome:
        with quiet():
            try:
                return finish()
            except caught as error:
                return failure(error)

    return guarded


def forward_passes(adapter: Adapter, cases: Sequence[Case]) -> list[Finish]:
    """Run the forward passes of one new layer; the caller finishes them in whatever order, and how often it likes."""
    if isinstance(adapter, Remote):
        return adapter.forward_passes(cases)
    life = LayerCalls(adapter)
    return [life.forward(case) for case in cases]


def run_together(adapter: Adapter, cases: Sequence[Case], threads: int, caught: Caught = CAUGHT) -> list[Outcome]:
    """Call a new layer with each case, from several threads at once.

    The two passes of a call are tasks of their own, so that a backward pass is often in another thread than its
    forward pass, as in PyTorch's autograd.
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
    """Second-order gradients of a new layer; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesSecondOrder)
    return _guarded(lambda: adapter.second_order(case), caught)()


def jvp(adapter: Adapter, case: Case, caught: Caught = CAUGHT) -> Outcome:
    """The tangent of y of a new layer; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesTangents)
    return _guarded(lambda: adapter.jvp(case), caught)()


def shards(adapter: Adapter, cases: Sequence[Case], caught: Caught = CAUGHT) -> list[Outcome]:
    """One step of a new layer over several devices, a case on each; an exception becomes every Outcome's `error`."""
    assert isinstance(adapter, RunsShards)
    found: list[Outcome] = []

    def step() -> Outcome:
        found.extend(adapter.shards(cases))
        return Outcome()

    failed = _guarded(step, caught)()
    return found if failed.error is None else [failed] * len(cases)


def population(adapter: Adapter, cases: Sequence[Case], caught: Caught = CAUGHT) -> Outcome:
    """Running statistics of the data set whose batches are the cases' x; an exception becomes the Outcome's `error`."""
    assert isinstance(adapter, GivesPopulation)
    return _guarded(lambda: adapter.population(cases), caught)()
