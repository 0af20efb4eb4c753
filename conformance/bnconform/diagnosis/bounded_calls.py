"""Calls for a diagnosis, of a bounded number, and their expected results; a call that does not return is the last."""

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
"""An output is far off if its error is larger than this multiple of the allowed error."""
MOST_CALLS = 400
"""The most calls that a diagnosis makes."""
MOST_SECONDS = 30.0
"""Time after which a diagnosis makes no call; a kernel that takes milliseconds a call never needs it."""


class Stopped(Exception):
    """No further call may be made: a call did not return, or the number or the time is used up."""


@dataclass(frozen=True, eq=False)
class Probe:
    """One call: its outcome, and the expected results."""

    case: Case
    outcome: Outcome
    expected: Expected

    @property
    def mode(self) -> Mode:
        """Mode of the case."""
        return "training" if self.case.training else "inference"

    def given(self, quantity: str) -> bool:
        """Return True if an output is there, has the right shape and can be judged."""
        actual = getattr(self.outcome, quantity)
        return (
            actual is not None
            and quantity in self.expected
            and actual.shape == np.shape(self.expected[quantity].allowed)
            and dtype_name(actual) in UNIT_ROUNDOFF
        )

    def wrong(self, quantity: str) -> bool:
        """Return True if an output is given and its error is not allowed."""
        return self._ratios.get(quantity, 0.0) > 1

    def far_off(self, quantity: str) -> bool:
        """Return True if its error is too large for the rounding of a dtype that is a few bits narrower."""
        return self._ratios.get(quantity, 0.0) > FAR

    def right(self, quantity: str) -> bool:
        """Return True if an output is given and within its allowed error."""
        return self.given(quantity) and not self.wrong(quantity)

    @cached_property
    def _ratios(self) -> dict[str, float]:
        """The worst error of each output that can be judged, as a multiple of the allowed error."""
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
        Time after which no call is made.
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
            No further call may be made, or this one did not return.
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
        """Call a new layer once, and give the call with its expected results; None if it raised."""
        outcome = self.call(case)
        return None if outcome.error is not None else Probe(case, outcome, expect(case, self.claims))

    def probes(self, cases: Iterable[Case]) -> list[Probe]:
        """Make calls until one must be the last; give those that returned results."""
        found = []
        try:
            for case in cases:
                if (probe := self.probe(case)) is not None:
                    found.append(probe)
        except Stopped:
            pass
        return found
