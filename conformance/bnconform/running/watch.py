"""Early end of the search for a broken law: at a deadline, after enough shrinking, or at a crash seen before."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from math import inf
from typing import NoReturn

from bnconform.cases.strategies import Steps
from bnconform.judging.evidence import Evidence
from bnconform.judging.findings import Broken, Finding
from bnconform.judging.judge import Judge
from bnconform_adapters.contract import Case, Outcome
from bnconform_adapters.exits import EXITS

_LIMIT = re.compile(r"(within|than) \S+ (s|GiB)")
"""Text of the limit that a call exceeded: it varies from call to call, and the place of a hang does not."""
COSTLY = 10
"""Shrinking of a crash or a hang gets 10 times fewer examples: each may cost a process and a time limit."""


class Ended(BaseException):
    """Ends the search.

    This is not an Exception, since Hypothesis would treat one as a failure and shrink it.
    """


@dataclass
class Watch:
    """Watches the search of a law, and ends the search at its limits.

    Attributes
    ----------
    requirement : str
    deadline : float
        End of the search, on the clock of `time.monotonic`.
    shrinks : float
        Largest number of examples after the first broken one.
    known : dict of str to str
        Signatures of crashes and hangs, and the law that found each; shared by the laws of one implementation.
    smallest : Broken or None
        Finding with the smallest case so far.
    out_of_time : bool
        Whether the deadline ended the search.
    """

    requirement: str = ""
    deadline: float = inf
    shrinks: float = inf
    known: dict[str, str] = field(default_factory=dict)
    smallest: Broken | None = None
    out_of_time: bool = False
    _tried: int = 0

    def look(self) -> None:
        """End the search if its time is over."""
        if time.monotonic() > self.deadline:
            self.out_of_time = True
            raise Ended

    def begin(self) -> None:
        """Check the limits as an example begins."""
        self.look()
        if self.smallest is not None:
            self._tried += 1
            if self._tried > self.shrinks / (COSTLY if _exit(self.smallest) else 1):
                raise Ended

    def found(self, broken: Broken) -> None:
        """Record a broken example; end the search if another law has shrunk the same kind of crash."""
        before = self.known.setdefault(signature, self.requirement) if (signature := _exit(broken)) else ""
        if before and before != self.requirement:
            problem = f"{broken.finding.problem}; as in {before}, whose case is the smallest found"
            self.smallest = Broken(replace(broken.finding, problem=problem), broken.steps, broken.evidence)
            raise Ended
        if self.smallest is None or _size(broken) < _size(self.smallest):
            self.smallest = broken


def _exit(broken: Broken) -> str:
    """Return the signature of a crash or a hang: how and where the process ended; empty for anything else."""
    problem = broken.finding.problem.partition(";")[0]
    return _LIMIT.sub("", problem) if problem.startswith(EXITS) else ""


def _size(broken: Broken) -> int:
    return sum(case.x.size for case in broken.steps)


class WatchedJudge(Judge):
    """A judge with a watched search; the caller sets `watch`."""

    watch: Watch

    def begin(self, steps: Steps) -> None:
        self.watch.begin()
        super().begin(steps)

    def came_back(self, case: Case, outcome: Outcome) -> Outcome:
        """See :class:`~bnconform.judging.caller.Caller`; the deadline can also end a long example between calls."""
        found = super().came_back(case, outcome)
        self.watch.look()
        return found

    def _report(self, finding: Finding, evidence: Evidence) -> NoReturn:
        try:
            super()._report(finding, evidence)
        except Broken as broken:
            self.watch.found(broken)
            raise
