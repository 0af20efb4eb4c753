"""A law: a requirement, where its examples come from, and the function that judges one of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Concatenate, Protocol

import hypothesis
import pytest
from hypothesis import errors

from bnconform.findings import Broken
from bnconform.histories import Histories
from bnconform.judge import Judge
from bnconform.requirements import BY_ID
from bnconform.strategies import Signature, Source, Steps
from bnconform.tally import Tally
from bnconform.watch import Ended, Watch, WatchedJudge
from bnconform_adapters.contract import Adapter, Case, Claims
from bnconform_adapters.stack import with_room
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions

LawFunction = Callable[Concatenate[Judge, ...], None]


@dataclass(frozen=True)
class Law:
    """One executable requirement.

    Attributes
    ----------
    requirement : str
        Id in the catalogue.
    source : Source
        Where its examples come from.
    function : callable
        ``function(judge, *steps)``; raises :class:`Broken` through the judge.
    share : float
        What part of a profile's examples it gets; laws whose single example is costly or thorough take less.
    least : int
        Examples without which it says nothing; it gets as many whatever a budget chooses.
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
    """What runs a law in a test session; the plugin's fixture."""

    def examine(self, law: Law) -> None:
        """Run the law on the implementation at hand and record the verdict."""


def requirement(
    id: str, given: Source | Histories, share: float = 1.0, least: int = 1
) -> Callable[[LawFunction], Callable[[Examiner], None]]:
    """Turn a law's function into a test of the requirement `id`, over examples from `given`.

    The test takes the plugin's `bn_examiner` fixture; the law itself stays reachable as ``test.law``.

    Raises
    ------
    KeyError
        The catalogue has no such requirement.
    """
    assert BY_ID[id]

    def decorate(function: LawFunction) -> Callable[[Examiner], None]:
        law = Law(id, given, function, share, least)

        def test(bn_examiner: Examiner) -> None:
            __tracebackhide__ = True
            bn_examiner.examine(law)

        test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
        test.__qualname__ = function.__qualname__
        test.law = law  # type: ignore[attr-defined]
        test.pytestmark = [pytest.mark.bn_requirement(id)]  # type: ignore[attr-defined]
        return test

    return decorate


def law_seed(seed: int, requirement: str) -> int:
    """Every law draws its own examples from a run's seed; implementations share them."""
    return int.from_bytes(blake2b(f"{seed} {requirement}".encode(), digest_size=8).digest(), "little")


@with_room
def search(
    law: Law,
    adapter: Adapter,
    claims: Claims,
    *,
    tally: Tally,
    settings: hypothesis.settings,
    seed: int,
    pool: tuple[Signature, ...] = (),
    spec: str | None = None,
    calls: CallOptions = DEFAULTS,
    watch: Watch | None = None,
) -> Broken | None:
    """Look for a case that breaks the law; return the smallest found, or None where it held.

    Parameters
    ----------
    claims : Claims
        What examples are drawn from and judged by; usually the adapter's own.
    tally : Tally
        Is filled.
    settings : hypothesis.settings
    seed : int
        The run's; equal seeds give equal examples.
    pool : tuple of Signature
        See :func:`bnconform.strategies.signature_pool`.
    spec : str or None
        The implementation as `--adapter` takes it, for laws that start a process.
    calls : CallOptions
        How a file is called in that process.
    watch : Watch or None
        May end the search early; None lets it run to its end.
    """
    judge = WatchedJudge(adapter, claims, law.requirement, tally, spec, calls)
    judge.watch = watch = watch or Watch(law.requirement)
    fewer = hypothesis.settings(settings, max_examples=max(law.least, round(settings.max_examples * law.share)))
    seeded = hypothesis.seed(law_seed(seed, law.requirement))

    def examples(steps: Steps) -> None:
        law.judge(judge, steps)

    try:
        with warnings.catch_warnings():
            # Printed nowhere; what does not fail again is printed by its values, which may be many.
            warnings.filterwarnings("ignore", "Generating overly large repr", errors.HypothesisWarning)
            if isinstance(law.source, Histories):
                law.source.explore(judge, pool, fewer, seeded)
            else:
                wrapped: Any = hypothesis.given(steps=law.source.strategy(claims, pool))(examples)
                fewer(seeded(wrapped))()  # a seed would take the database away
    except Broken as broken:
        return broken
    except Ended:
        return watch.smallest
    except (errors.FlakyFailure, errors.Flaky):
        assert judge.last is not None
        finding = judge.last.finding
        problem = f"{finding.problem}, but not every time that the same case is run: results are not reproducible"
        return Broken(replace(finding, problem=problem), judge.last.steps, judge.last.evidence)
    return None


def replay(
    law: Law,
    adapter: Adapter,
    claims: Claims,
    steps: tuple[Case, ...],
    spec: str | None = None,
    calls: CallOptions = DEFAULTS,
) -> Broken | None:
    """Judge one given example; return what it breaks, or None where it holds."""
    try:
        law.judge(Judge(adapter, claims, law.requirement, Tally(), spec, calls), steps)
    except Broken as broken:
        return broken
    return None
