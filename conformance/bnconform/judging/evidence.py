"""What shows a finding: the calls that were really made, and what of them was compared.

A law often makes calls that are derived from the steps drawn: x scaled, vectors of wrong length, one call twice. The
judge keeps them while an example lasts, by reference; a finding takes them along, so that a script can make them again.
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
    """What was asked of one new layer, or in threads of several, and what came of it.

    Attributes
    ----------
    what : str
    cases : list of Case
        As the calls were made.
    outcomes : list of Outcome
        One for each case; where interleaved, one for each element of `order`.
    order : list of int
        Which forward passes were finished, one after the other; empty where none are apart.
    threads : int
    """

    what: What
    cases: list[Case]
    outcomes: list[Outcome] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    threads: int = 0


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass that is still to be finished, and where to note that it was."""

    log: CallLog
    number: int
    rest: Callable[[], Outcome]

    def __call__(self) -> Outcome:
        """Finish it."""
        outcome = self.rest()
        self.log.order.append(self.number)
        self.log.outcomes.append(outcome)
        return outcome


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a finding rests on.

    Attributes
    ----------
    logs : tuple of CallLog
        All calls of the example, in order.
    claims : Claims
        By which it was judged.
    got : Expression or None
        What was compared; with neither `expected` nor `value`, a condition that is true while the defect is there. None
        where a script cannot show it.
    expected : Expression or None
        What it was compared with, where that came of calls too.
    value : float64 array, DoubleDouble or None
        What it was compared with, where that is the oracle's.
    allowed : float64 array or None
        By how much they may differ; None where bits were compared.
    signed_zeros : bool
        Whether 0 and -0 differ, where bits were compared.
    """

    logs: tuple[CallLog, ...]
    claims: Claims
    got: Expression | None = None
    expected: Expression | None = None
    value: Real | None = None
    allowed: AnyArray | None = None
    signed_zeros: bool = True

    @property
    def about(self) -> tuple[CallLog, ...]:
        """The calls that `got` and `expected` speak of, in order; all where they speak of none."""
        named = {id(log) for of in (self.got, self.expected) if of for one in of.given if (log := self._life(one))}
        return tuple(log for log in self.logs if id(log) in named) or self.logs[-1:]

    def case_of(self, given: object) -> Case | None:
        """The case of the call that gave an Outcome or an array of one."""
        place = find(given, self.logs)
        if place is None or place.of_case:
            return None
        log = self.logs[place.log]
        return log.cases[log.order[place.position] if log.order else place.position]

    def _life(self, given: object) -> CallLog | None:
        place = find(given, self.logs)
        return None if place is None else self.logs[place.log]


@dataclass(frozen=True)
class Place:
    """Where something that was compared comes from.

    Attributes
    ----------
    log, position : int
        Which log, and which of its outcomes, or of its cases.
    key : str
        Under which name the outcome or the case has it; empty for the whole.
    of_case : bool
    """

    log: int
    position: int
    key: str = ""
    of_case: bool = False


def find(given: object, logs: Sequence[CallLog]) -> Place | None:
    """Where an Outcome, a Case or an array of theirs stands among the calls, by identity; None where it does not."""
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
