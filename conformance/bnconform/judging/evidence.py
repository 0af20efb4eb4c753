"""Evidence of a finding: the calls that were really made, and which of their results were compared.

A law often derives calls from the drawn steps: x scaled, vectors of wrong length, one call twice. The judge keeps
references to the calls during an example. A finding carries them, so that a script can repeat them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from bnconform.judging.expression import Expression
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_reference.double_double import Real

What: TypeAlias = Literal[
    "steps",
    "steps in spoilt memory",
    "interleaved",
    "together",
    "second order",
    "jvp",
    "population",
    "shards",
    "fresh process",
]


@dataclass(frozen=True, eq=False)
class CallLog:
    """Calls of one new layer, or of one layer per thread, and their outcomes.

    Attributes
    ----------
    what : str
        Kind of calls.
    cases : list of Case
        Cases in the order of the calls.
    outcomes : list of Outcome
        One outcome per case; if interleaved, one per element of `order`.
    order : list of int
        Numbers of the forward passes in the order in which they were finished; empty if not interleaved.
    threads : int
        Number of threads; 0 if the calls did not run in threads.
    """

    what: What
    cases: list[Case]
    outcomes: list[Outcome] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    threads: int = 0


@dataclass(frozen=True, eq=False)
class Pass:
    """Unfinished forward pass, and the log that records its end."""

    log: CallLog
    number: int
    rest: Callable[[], Outcome]

    def __call__(self) -> Outcome:
        """Run the rest of the pass and log the outcome."""
        outcome = self.rest()
        self.log.order.append(self.number)
        self.log.outcomes.append(outcome)
        return outcome


@dataclass(frozen=True, eq=False)
class Evidence:
    """Calls and compared values behind a finding.

    Attributes
    ----------
    logs : tuple of CallLog
        All calls of the example, in order.
    claims : Claims
        Claims that the example was judged by.
    got : Expression or None
        Compared value. Without `expected` and `value`, a condition that is true while the defect is present. None if a
        script cannot show the defect.
    expected : Expression or None
        Value that `got` was compared with, if calls gave it too.
    value : float64 array, DoubleDouble or None
        Value that `got` was compared with, if the oracle gave it.
    allowed : float64 array or None
        Allowed difference; None if bits were compared.
    signed_zeros : bool
        Whether 0 and -0 differ, if bits were compared.
    """

    logs: tuple[CallLog, ...]
    claims: Claims
    got: Expression | None = None
    expected: Expression | None = None
    value: Real | None = None
    allowed: AnyArray | None = None
    signed_zeros: bool = True

    @property
    def compared(self) -> tuple[object, ...]:
        """Objects in `got` and `expected`, in order."""
        return tuple(one for of in (self.got, self.expected) if of for one in of.given)

    @property
    def about(self) -> tuple[CallLog, ...]:
        """Logs that `got` and `expected` refer to, in order; the last log if they refer to none."""
        named = {place.log for one in self.compared if (place := find(one, self.logs))}
        return tuple(log for i, log in enumerate(self.logs) if i in named) or self.logs[-1:]

    def case_of(self, given: object) -> Case | None:
        """Return the case of the call that gave an Outcome, or an array of an Outcome."""
        place = find(given, self.logs)
        if place is None or place.of_case:
            return None
        log = self.logs[place.log]
        return log.cases[log.order[place.position] if log.order else place.position]


@dataclass(frozen=True)
class Place:
    """Place of a compared object among the logged calls.

    Attributes
    ----------
    log, position : int
        Number of the log, and of the outcome or case in the log.
    key : str
        Name of the array in the outcome or case; empty for the whole outcome or case.
    of_case : bool
        Whether the object belongs to a case, not to an outcome.
    """

    log: int
    position: int
    key: str = ""
    of_case: bool = False


def find(given: object, logs: Sequence[CallLog]) -> Place | None:
    """Find an Outcome, a Case or an array of theirs among the calls, by identity; None if it is not there."""
    if given is None:
        return None
    for i, log in enumerate(logs):
        for j, outcome in enumerate(log.outcomes):
            if given is outcome:
                return Place(i, j)
            for key, array in _arrays(outcome):
                if given is array:
                    return Place(i, j, key)
    for i, log in enumerate(logs):
        for j, case in enumerate(log.cases):
            if given is case:
                return Place(i, j, of_case=True)
            for key, array in ((one.name, getattr(case, one.name)) for one in fields(case)):
                if given is array and isinstance(array, np.ndarray):
                    return Place(i, j, key, of_case=True)
    return None


def _arrays(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    for one in fields(outcome):
        value = getattr(outcome, one.name)
        if isinstance(value, np.ndarray):
            yield one.name, value
    for name, array in outcome.inputs_after.items():
        yield f"{name} after", array
