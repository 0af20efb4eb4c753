"""Search for a case that breaks a law."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import errors

from bnconform.cases.strategies import Signature, Steps, signature_pool
from bnconform.judging.findings import Broken
from bnconform.judging.histories import Histories
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.running.example_database import with_database
from bnconform.running.profiles import settings_for
from bnconform.running.watch import Ended, Watch, WatchedJudge
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter
from bnconform_adapters.stack import with_room
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions

if TYPE_CHECKING:
    from bnconform.running.implementation import Implementation
    from bnconform.running.session import Session


def law_seed(seed: int, requirement: str) -> int:
    """Return a law's own seed, made from a run's seed; all implementations share it."""
    return int.from_bytes(blake2b(f"{seed} {requirement}".encode(), digest_size=8).digest(), "little")


ENOUGH = 10
"""Number of cases that suffices for a verdict when the time budget ends a search."""


class Search:
    """The search of a session for a case that breaks a law, in some domains of an implementation.

    Parameters
    ----------
    law : Law
    implementation : Implementation
    session : Session
    domains : sequence of Claims
        Claims that draw and judge examples, one after the other.

    Attributes
    ----------
    domains : list of Claims
        Domains with cases to judge, with the sizes that the session's plan allows.
    tally : Tally
    """

    def __init__(self, law: Law, implementation: Implementation, session: Session, domains: Sequence[Claims]) -> None:
        self._law, self._implementation, self._session = law, implementation, session
        self._plan = session.plan(implementation)
        planned = [self._plan.claims(claims) for claims in domains]
        self.domains = [claims for claims in planned if law.source.why_not(claims) is None]
        self.tally = Tally()
        crashes = implementation.crashes if session.remembers_crashes else {}
        shrinks = inf if self._plan.budget is None else self._plan.shrinks
        self._watch = Watch(law.requirement, self._plan.deadline, shrinks, crashes)

    def run(self) -> Broken | None:
        """Search each domain until the law is broken or the time is over; return the smallest case found."""
        for claims in self.domains:
            if self._plan.deadline < time.monotonic():
                self._watch.out_of_time = True
                break
            broken = search(
                self._law,
                self._implementation.adapter,
                claims,
                tally=self.tally,
                settings=self._settings(claims),
                seed=self._session.seed,
                pool=signature_pool(claims, self._session.seed),
                spec=self._implementation.spec,
                calls=self._session.options.calls,
                watch=self._watch,
            )
            if broken is not None:
                return broken
        return None

    def too_little(self) -> str:
        """Return why the judged cases are too few for a verdict; empty if they suffice or no domain has cases."""
        law, cases = self._law, self.tally.cases
        if not self.domains or not (self._watch.out_of_time or cases < law.least):
            return ""
        if not self._watch.out_of_time:
            return f"bnconform drew {cases} cases of the {law.least} that this law needs"
        if cases >= max(law.least, ENOUGH):
            return ""
        assert self._plan.budget is not None
        return f"the time budget of {self._plan.budget:g} s was over after {cases} cases; pass a longer one"

    def _settings(self, claims: Claims) -> hypothesis.settings:
        parts, number = len(self.domains), self._plan.number
        settings = settings_for(self._session.options.profile, claims.cost, parts, number)
        if self._session.database is None:
            return settings
        key = f"{self._law.requirement} {self._implementation.name}"
        return with_database(settings, self._session.database, key)


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
    """Search for a case that breaks the law; return the smallest found, or None if the law holds.

    Parameters
    ----------
    claims : Claims
        Claims that draw and judge examples; usually the adapter's own.
    tally : Tally
        Tally to fill.
    settings : hypothesis.settings
    seed : int
        Seed of the run; equal seeds give equal examples.
    pool : tuple of Signature
        See :func:`bnconform.cases.strategies.signature_pool`.
    spec : str or None
        Implementation as `--adapter` takes it, for laws that start a process.
    calls : CallOptions
        Options for calling a file in that process.
    watch : Watch or None
        May end the search early; None never does.
    """
    judge = WatchedJudge(adapter, claims, law.requirement, tally, spec, calls)
    judge.watch = watch = watch or Watch(law.requirement)
    fewer = hypothesis.settings(settings, max_examples=max(law.least, round(settings.max_examples * law.share)))
    seeded = hypothesis.seed(law_seed(seed, law.requirement))

    def examples(steps: Steps) -> None:
        law.judge(judge, steps)

    try:
        with warnings.catch_warnings():
            # Hypothesis warns of a long text for an example that does not fail again; nothing prints that text.
            warnings.filterwarnings("ignore", "Generating overly large repr", errors.HypothesisWarning)
            if isinstance(law.source, Histories):
                law.source.explore(judge, pool, fewer, seeded)
            else:
                wrapped: Any = hypothesis.given(steps=law.source.strategy(claims, pool))(examples)
                fewer(seeded(wrapped))()  # a seed set after the settings would remove the database
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
