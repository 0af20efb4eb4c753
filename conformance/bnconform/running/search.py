"""The search for a case that breaks a law, and the judging of a case that is given."""

from __future__ import annotations

import warnings
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import hypothesis
from hypothesis import errors

from bnconform.cases.strategies import Signature, Steps
from bnconform.judging.findings import Broken
from bnconform.judging.histories import Histories
from bnconform.judging.judge import Judge
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.running.watch import Ended, Watch, WatchedJudge
from bnconform_adapters.contract import Adapter, Case, Claims
from bnconform_adapters.stack import with_room
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions


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
        See :func:`bnconform.cases.strategies.signature_pool`.
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
