"""One law on one implementation: judge it, and report the verdict as a pytest outcome and as a cell of the record.

Fail closed: whatever goes wrong in here, the cell says "not judged" and the test fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

import pytest
from hypothesis import settings

from bnconform.cases import case_file
from bnconform.cases.strategies import signature_pool
from bnconform.deviations import ledger
from bnconform.judging.findings import Broken, explain
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.requirements import BY_ID
from bnconform.running.budget import Plan
from bnconform.running.example_database import with_database
from bnconform.running.failures import cause, text_of
from bnconform.running.profiles import EXAMPLES, settings_for
from bnconform.running.search import replay, search
from bnconform.running.session import Implementation, Session
from bnconform.running.watch import Watch
from bnconform.scripts.writer import script
from bnconform_adapters.contract import Claims
from bnconform_reference.dialect import PYTORCH

ENOUGH = 10
"""Cases after which a law that the time budget cut short is judged all the same."""


def failed_cell(requirement: str, implementation: str, error: Exception) -> dict[str, Any]:
    """The cell of a law on which the suite itself failed."""
    return {
        "requirement": requirement,
        "implementation": implementation,
        "verdict": "not judged",
        "reason": cause(error),
        "traceback": text_of(error),
    }


class Examiner:
    """Runs a law on an implementation and reports the verdict as a pytest outcome and as a cell."""

    def __init__(
        self, session: Session, implementation: Implementation, record: Callable[[dict[str, Any]], None]
    ) -> None:
        self._session = session
        self._implementation = implementation
        self._record = record

    def examine(self, law: Law) -> None:
        """Judge the law; fail, skip or expect failure accordingly.

        Raises
        ------
        Exception
            The suite itself failed; the cell says "not judged" then.
        """
        try:
            self.judge(law)
        except Exception as error:
            self._record(failed_cell(law.requirement, self._implementation.name, error))
            raise

    def judge(self, law: Law) -> None:
        """Do the same, but leave no cell where the suite itself fails."""
        __tracebackhide__ = True
        if problem := self._implementation.problem:
            self._cell(law, "not run", reason=problem)
            pytest.skip(f"{self._implementation.name} not run: {problem}")
        name, claims = self._implementation.name, self._implementation.adapter.claims
        if reason := law.source.why_not(claims):
            self._cell(law, "not claimed", reason=reason)
            pytest.skip(f"{name}: {reason}")
        deviation = ledger.find(name, law.requirement)
        if deviation is None:
            return self._search(law, ledger.domains(name, law.requirement, claims))
        return self._expect_failure(law, deviation)

    def _search(
        self, law: Law, domains: Sequence[Claims], known: tuple[ledger.Deviation, Broken] | None = None
    ) -> None:
        __tracebackhide__ = True
        tally, dialect = Tally(), self._implementation.adapter.claims.dialect
        plan = self._session.plan(self._implementation)
        domains = [plan.claims(claims) for claims in domains]
        judged = [claims for claims in domains if law.source.why_not(claims) is None]
        if not judged and known is None:
            reason = "the ledger has a known deviation wherever it would be judged"
            self._cell(law, "not claimed", reason=reason)
            pytest.skip(f"{self._implementation.name}: {reason}")
        watch = self._watch(law, plan)
        for claims in judged:
            if plan.deadline < time.monotonic():
                watch.out_of_time = True
                break
            broken = search(
                law,
                self._implementation.adapter,
                claims,
                tally=tally,
                settings=self._settings(law, claims, plan, parts=len(judged)),
                seed=self._session.seed,
                pool=signature_pool(claims, self._session.seed),
                spec=self._implementation.spec,
                calls=self._session.options.calls,
                watch=watch,
            )
            if broken is not None:
                program = self._script(broken)
                self._cell(law, "breaks", tally, broken, program=program)
                text = self._explain(law, broken, program)
                if BY_ID[law.requirement].level not in self._session.options.deciding:
                    pytest.xfail(f"broken, beyond the level that decides ({self._session.options.level})\n{text}")
                pytest.fail(text, pytrace=False)
        if judged and (watch.out_of_time or tally.cases < law.least):
            self._not_judged(law, tally, plan, watch)
        if known is not None:
            return self._known(law, known[0], tally, known[1])
        if tally.mostly_mistrusted:
            reason = f"{tally.mistrusted} of {tally.cases} cases could not have failed"
            self._cell(law, "not run", tally, reason=reason)
            pytest.skip(f"{self._implementation.name}: {law.requirement} is not judged: {reason}")
        fields = BY_ID[law.requirement].dialect
        differs = [f for f in fields if getattr(dialect, f) != getattr(PYTORCH, f)]
        reason = ", ".join(f"{f.replace('_', ' ')}: {getattr(dialect, f)}" for f in differs)
        return self._cell(law, "differs" if differs else "meets", tally, reason=reason)

    def _watch(self, law: Law, plan: Plan) -> Watch:
        crashes = self._implementation.crashes if self._session.remembers_crashes else {}
        shrinks = inf if plan.budget is None else plan.shrinks
        return Watch(law.requirement, plan.deadline, shrinks, crashes)

    def _not_judged(self, law: Law, tally: Tally, plan: Plan, watch: Watch) -> None:
        """Say that too little was seen, unless what was seen before the time was over is enough."""
        __tracebackhide__ = True
        if not watch.out_of_time:
            reason = f"bnconform drew {tally.cases} cases of the {law.least} that this law needs"
        elif tally.cases >= max(law.least, ENOUGH):
            return
        else:
            assert plan.budget is not None
            reason = f"the time budget of {plan.budget:g} s was over after {tally.cases} cases; pass a longer one"
        self._cell(law, "not judged", tally, reason=reason)
        pytest.fail(f"{law.requirement} on {self._implementation.name} is not judged: {reason}", pytrace=False)

    def _settings(self, law: Law, claims: Claims, plan: Plan, parts: int) -> settings:
        given = settings_for(self._session.options.profile, claims.cost, parts, plan.number)
        if self._session.database is None:
            return given
        return with_database(given, self._session.database, f"{law.requirement} {self._implementation.name}")

    def _expect_failure(self, law: Law, deviation: ledger.Deviation) -> None:
        __tracebackhide__ = True
        name, own = self._implementation.name, self._implementation.adapter.claims
        domains = ledger.domains(name, law.requirement, own)
        broken = replay(
            law,
            self._implementation.adapter,
            domains[0],
            deviation.steps(),
            self._implementation.spec,
            self._session.options.calls,
        )
        if broken is None:
            reason = f"the ledger's entry is stale: its witness no longer breaks the law ({deviation.versions})"
            self._cell(law, "breaks", reason=reason)
            pytest.fail(
                f"{law.requirement} on {self._implementation.name}: {reason}; remove the entry from ledger.toml",
                pytrace=False,
            )
        self._search(law, deviation.narrowed(domains), (deviation, broken))

    def _known(self, law: Law, deviation: ledger.Deviation, tally: Tally, broken: Broken) -> None:
        __tracebackhide__ = True
        known = {"kind": deviation.kind, "reason": deviation.reason, "versions": deviation.versions}
        known |= {"link": deviation.link} if deviation.link else {}
        self._cell(law, "breaks", tally, broken, known=known, program=self._script(broken, deviation))
        pytest.xfail(f"known {deviation.kind}: {deviation.reason}")

    def _explain(self, law: Law, broken: Broken, program: str) -> str:
        text = explain(broken.finding, broken.steps, self._session.command(law, self._implementation))
        if self._session.options.report is not None:
            name = self._implementation.name.removesuffix(".py").replace(":", "-")
            path = self._session.options.report / "cases" / f"{law.requirement}-{name}.json"
            about = {"requirement": law.requirement, "implementation": self._implementation.name}
            case_file.write(path, broken.steps, **about, spec=self._implementation.spec)
            text += f"\n  case file {path}"
            if program:
                path.with_suffix(".py").write_text(program)
                text += f"\n  script    {path.with_suffix('.py')}"
        return text

    def _script(self, broken: Broken, known: ledger.Deviation | None = None) -> str:
        """The finding as a program of its own, where they are asked for and there is plain code to call it by."""
        subject = self._implementation.subject
        return script(broken, subject, known) if self._session.scripts and subject.plain_code else ""

    def _cell(
        self,
        law: Law,
        verdict: str,
        tally: Tally | None = None,
        broken: Broken | None = None,
        reason: str = "",
        known: dict[str, str] | None = None,
        program: str = "",
    ) -> None:
        cell: dict[str, Any] = {
            "requirement": law.requirement,
            "implementation": self._implementation.name,
            "verdict": verdict,
            "reason": reason,
        }
        if tally is not None:
            cell |= {
                "drawn": dict(tally.drawn),
                "cases": tally.cases,
                "usual": max(law.least, round(EXAMPLES["default"] * law.share)),
                "mistrusted": tally.mistrusted,
                "elements": tally.elements,
                "unbounded": tally.unbounded,
                "overflowing": tally.overflowing,
                "worst_ratio": tally.worst_ratio,
                "worst_ulp": tally.worst_ulp,
                "worst_case": tally.worst[0].origin if tally.worst else "",
                "grade": tally.measured_grade or "",
            }
        if broken is not None:
            cell |= {
                "finding": asdict(broken.finding),
                "worst_ratio": broken.finding.ratio,
                "worst_ulp": broken.finding.ulp,
                "witness": case_file.to_json(broken.steps),
                "again": self._session.command(law, self._implementation),
                "script": program,
            }
        self._record(cell | ({"known": known} if known else {}))
