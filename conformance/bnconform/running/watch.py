"""When the search for a broken law ends early: at a deadline, after enough shrinking, or at a crash seen before."""

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
"""The limit that was reached, which changes from call to call; the place of a hang does not."""
DEAR = 10
"""A crash or a hang gets so many times fewer examples to be made smaller: each may cost a process and a time limit."""


class Ended(BaseException):
    """The search ends here.

    It is no Exception, since Hypothesis would take that for a failure and shrink it.
    """


@dataclass
class Watch:
    """Looks on while a law is searched, and ends the search when it has cost enough.

    Attributes
    ----------
    requirement : str
    deadline : float
        On the clock of `time.monotonic`.
    shrinks : float
        Examples after the first broken one.
    known : dict of str to str
        Signatures of crashes and hangs, and the law that found each; shared by the laws of one implementation.
    smallest : Broken or None
        What was found, in the smallest case so far.
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
        """Look on as an example begins."""
        self.look()
        if self.smallest is not None:
            self._tried += 1
            if self._tried > self.shrinks / (DEAR if _exit(self.smallest) else 1):
                raise Ended

    def found(self, broken: Broken) -> None:
        """Take a broken example in; end the search where its kind has been shrunk for another law."""
        before = self.known.setdefault(signature, self.requirement) if (signature := _exit(broken)) else ""
        if before and before != self.requirement:
            problem = f"{broken.finding.problem}; as in {before}, whose case is the smallest found"
            self.smallest = Broken(replace(broken.finding, problem=problem), broken.steps, broken.evidence)
            raise Ended
        if self.smallest is None or _size(broken) < _size(self.smallest):
            self.smallest = broken


def _exit(broken: Broken) -> str:
    """The signature of a crash or a hang: how the process ended and where; empty for anything else."""
    problem = broken.finding.problem.partition(";")[0]
    return _LIMIT.sub("", problem) if problem.startswith(EXITS) else ""


def _size(broken: Broken) -> int:
    return sum(case.x.size for case in broken.steps)


class WatchedJudge(Judge):
    """A judge whose search is watched; the caller sets `watch`."""

    watch: Watch

    def begin(self, steps: Steps) -> None:
        """See :class:`~bnconform.judging.caller.Caller`."""
        self.watch.begin()
        super().begin(steps)

    def came_back(self, case: Case, outcome: Outcome) -> Outcome:
        """See :class:`~bnconform.judging.caller.Caller`; a long example is ended between two calls."""
        found = super().came_back(case, outcome)
        self.watch.look()
        return found

    def _report(self, finding: Finding, evidence: Evidence) -> NoReturn:
        try:
            super()._report(finding, evidence)
        except Broken as broken:
            self.watch.found(broken)
            raise
