"""A law: a requirement, the source of its examples, and the function that judges one example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Protocol, cast

import pytest

from bnconform.cases.strategies import Source, Steps
from bnconform.judging.histories import Histories
from bnconform.judging.judge import Judge
from bnconform.requirements import BY_ID

LawFunction = Callable[Concatenate[Judge, ...], None]


@dataclass(frozen=True)
class Law:
    """One executable requirement.

    Attributes
    ----------
    requirement : str
        Id in the catalogue.
    source : Source
        Source of its examples.
    function : callable
        ``function(judge, *steps)``; raises :class:`Broken` through the judge.
    share : float
        Share of a profile's examples; smaller for laws whose single example is costly or thorough.
    least : int
        Smallest number of examples that means anything; no budget goes below it.
    """

    requirement: str
    source: Source | Histories
    function: LawFunction
    share: float = 1.0
    least: int = 1

    def judge(self, judge: Judge, steps: Steps) -> None:
        """Judge one example."""
        judge.begin(steps)
        self.function(judge, *steps)
        judge.end()


class Examiner(Protocol):
    """Fixture of the plugin that runs a law in a test session."""

    def examine(self, law: Law) -> None:
        """Run the law on the fixture's implementation and record the verdict."""


class LawTest(Protocol):
    """Pytest test that judges a law."""

    law: Law
    pytestmark: list[pytest.MarkDecorator]

    def __call__(self, bn_examiner: Examiner) -> None:
        """Judge the law on the fixture's implementation."""


def requirement(
    id: str, given: Source | Histories, share: float = 1.0, least: int = 1
) -> Callable[[LawFunction], LawTest]:
    """Turn a law's function into a test of the requirement `id`, over examples from `given`.

    The test uses the plugin's `bn_examiner` fixture; ``test.law`` is the law itself.

    Raises
    ------
    KeyError
        If the catalogue has no such requirement.
    """
    assert BY_ID[id]

    def decorate(function: LawFunction) -> LawTest:
        law = Law(id, given, function, share, least)

        def test(bn_examiner: Examiner) -> None:
            __tracebackhide__ = True
            bn_examiner.examine(law)

        test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
        test.__qualname__ = function.__qualname__
        made = cast(LawTest, test)
        made.law, made.pytestmark = law, [pytest.mark.bn_requirement(id)]
        return made

    return decorate
