"""One law on one implementation: judge it, and tell the verdict as a pytest outcome and as a cell of the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import settings

from bnconform import case_file, ledger
from bnconform.database import with_database
from bnconform.findings import Broken, explain
from bnconform.law import Law, replay, search
from bnconform.profiles import settings_for
from bnconform.requirements import BY_ID
from bnconform.script import script
from bnconform.session import Implementation, Session
from bnconform.strategies import signature_pool
from bnconform.tally import Tally
from bnconform_adapters.contract import Claims
from bnconform_reference.dialect import PYTORCH


class Examiner:
    """Runs a law on an implementation and reports the verdict as a pytest outcome and as a cell."""

    def __init__(
        self, session: Session, implementation: Implementation, record: Callable[[dict[str, Any]], None]
    ) -> None:
        self._session = session
        self._implementation = implementation
        self._record = record

    def examine(self, law: Law) -> None:
        """Judge the law; fail, skip or expect failure accordingly."""
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
        judged = [claims for claims in domains if law.source.why_not(claims) is None]
        if not judged and known is None:
            reason = "the ledger has a known deviation wherever it would be judged"
            self._cell(law, "not claimed", reason=reason)
            pytest.skip(f"{self._implementation.name}: {reason}")
        for claims in judged:
            broken = search(
                law,
                self._implementation.adapter,
                claims,
                tally=tally,
                settings=self._settings(law, claims, parts=len(judged)),
                seed=self._session.seed,
                pool=signature_pool(claims, self._session.seed),
                spec=self._implementation.spec,
                time_limit=self._session.time_limit,
            )
            if broken is not None:
                program = self._script(broken)
                self._cell(law, "breaks", tally, broken, program=program)
                pytest.fail(self._explain(law, broken, program), pytrace=False)
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

    def _settings(self, law: Law, claims: Claims, parts: int) -> settings:
        given = settings_for(self._session.profile, claims.cost, parts)
        if self._session.database is None:
            return given
        return with_database(given, self._session.database, f"{law.requirement} {self._implementation.name}")

    def _expect_failure(self, law: Law, deviation: ledger.Deviation) -> None:
        __tracebackhide__ = True
        name, own = self._implementation.name, self._implementation.adapter.claims
        domains = ledger.domains(name, law.requirement, own)
        broken = replay(law, self._implementation.adapter, domains[0], deviation.steps(), self._implementation.spec)
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
        if self._session.report is not None:
            name = self._implementation.name.removesuffix(".py").replace(":", "-")
            path = self._session.report / "cases" / f"{law.requirement}-{name}.json"
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
