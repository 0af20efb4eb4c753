"""Calls for a diagnosis: a bounded number, none after one that did not come back, and what each of them should give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np

from bnconform.judging.comparison import compare
from bnconform.judging.judge import GRADIENTS, STATISTICS
from bnconform.judging.oracle import Expected, expect
from bnconform_adapters.calls import run_steps
from bnconform_adapters.claims import Mode
from bnconform_adapters.contract import Adapter, Case, Outcome, dtype_name
from bnconform_reference.precision import UNIT_ROUNDOFF

QUANTITIES = ("y", *STATISTICS, *GRADIENTS)
FAR = 16.0
"""Multiples of the allowed error past which an output is far off."""
MOST_CALLS = 400
"""Calls of the implementation that a diagnosis makes at most."""
MOST_SECONDS = 30.0
"""Time after which it makes none any more; what costs milliseconds a call never gets there."""


class Stopped(Exception):
    """No further call may be made: one ended the process or its time, or there were enough."""


@dataclass(frozen=True, eq=False)
class Probe:
    """One call: what came out, what should have."""

    case: Case
    outcome: Outcome
    expected: Expected

    @property
    def mode(self) -> Mode:
        """The case's mode."""
        return "training" if self.case.training else "inference"

    def given(self, quantity: str) -> bool:
        """Whether an output is there, in the shape that it should have, and can be judged."""
        actual = getattr(self.outcome, quantity)
        return (
            actual is not None
            and quantity in self.expected
            and actual.shape == np.shape(self.expected[quantity].allowed)
            and dtype_name(actual) in UNIT_ROUNDOFF
        )

    def wrong(self, quantity: str) -> bool:
        """Whether an output is given and beyond its allowed error."""
        return self._ratios.get(quantity, 0.0) > 1

    def far_off(self, quantity: str) -> bool:
        """Whether it is so far beyond that no rounding of a dtype narrower by a few bits explains it."""
        return self._ratios.get(quantity, 0.0) > FAR

    def right(self, quantity: str) -> bool:
        """Whether an output is given and within its allowed error."""
        return self.given(quantity) and not self.wrong(quantity)

    @cached_property
    def _ratios(self) -> dict[str, float]:
        """The worst element of each output that is given, in units of what is allowed."""
        return {
            quantity: float(compare(getattr(self.outcome, quantity), self.expected[quantity]).ratio.max(initial=0.0))
            for quantity in QUANTITIES
            if self.given(quantity)
        }


class Prober:
    """Makes the calls, and counts them.

    Parameters
    ----------
    adapter : Adapter
    seconds : float
        Time after which no call is made any more.
    """

    def __init__(self, adapter: Adapter, seconds: float = MOST_SECONDS) -> None:
        self.claims = adapter.claims
        self.calls = 0
        self._adapter = adapter
        self._stopped = False
        self._end = perf_counter() + seconds

    def call(self, case: Case, *, spoilt: bool = False) -> Outcome:
        """Call a new layer once.

        Raises
        ------
        Stopped
            No call may be made any more, or this one did not come back.
        """
        if self._stopped or self.calls >= MOST_CALLS or perf_counter() > self._end:
            raise Stopped
        self.calls += 1
        (outcome,) = run_steps(self._adapter, [case], spoilt=spoilt)
        if outcome.exit:
            self._stopped = True
            raise Stopped
        return outcome

    def probe(self, case: Case) -> Probe | None:
        """Call a new layer once and say what it should have given; None where it raised."""
        outcome = self.call(case)
        return None if outcome.error is not None else Probe(case, outcome, expect(case, self.claims))

    def probes(self, cases: Iterable[Case]) -> list[Probe]:
        """The calls that came back with results, up to the first that may not be followed by another."""
        found = []
        try:
            for case in cases:
                if (probe := self.probe(case)) is not None:
                    found.append(probe)
        except Stopped:
            pass
        return found
