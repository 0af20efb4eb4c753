"""Decision on a law and an implementation: whether to judge, by which claims, and with which verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bnconform.deviations import ledger
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.requirements import BY_ID
from bnconform.running.given_case import replay
from bnconform.running.implementation import Implementation
from bnconform.running.profiles import usual_examples
from bnconform.running.ruling import Ruling
from bnconform.running.search import Search
from bnconform.running.session import Session
from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import PYTORCH


def decide(law: Law, implementation: Implementation, session: Session) -> Ruling:
    """Judge a law; the examiner later adds the explanation of a broken law."""
    name = implementation.name
    blank = Ruling(law.requirement, name, "not judged", usual=usual_examples(law.share, law.least))
    if problem := implementation.problem:
        return replace(blank, verdict="not run", reason=problem, message=f"{name} not run: {problem}")
    claims = implementation.adapter.claims
    if reason := law.source.why_not(claims):
        return replace(blank, verdict="not claimed", reason=reason, message=f"{name}: {reason}")
    domains = ledger.domains(name, law.requirement, claims)
    if deviation := ledger.find(name, law.requirement):
        return _known(blank, law, implementation, session, deviation, domains)
    return _searched(blank, law, implementation, session, domains)


def _known(
    blank: Ruling,
    law: Law,
    implementation: Implementation,
    session: Session,
    deviation: ledger.Deviation,
    domains: list[Claims],
) -> Ruling:
    """Rule on a law with a ledger entry: its witness must still break the law, and no other case may."""
    adapter, calls = implementation.adapter, session.options.calls
    broken = replay(law, adapter, domains[0], deviation.steps(), implementation.spec, calls)
    if broken is None:
        reason = f"the ledger's entry is stale: its witness no longer breaks the law ({deviation.versions})"
        message = f"{law.requirement} on {implementation.name}: {reason}; remove the entry from ledger.toml"
        return replace(blank, verdict="breaks", reason=reason, message=message)
    elsewhere = _searched(blank, law, implementation, session, deviation.narrowed(domains))
    if elsewhere.verdict in ("breaks", "not judged"):
        return elsewhere
    message = f"known {deviation.kind}: {deviation.reason}"
    return replace(
        blank, verdict="breaks", message=message, tally=elsewhere.tally or Tally(), broken=broken, known=deviation
    )


def _searched(
    blank: Ruling, law: Law, implementation: Implementation, session: Session, domains: Sequence[Claims]
) -> Ruling:
    """Rule on a law by a search for cases that break it."""
    name, search = implementation.name, Search(law, implementation, session, domains)
    if not search.domains:
        reason = "known deviations on the ledger leave no case to judge"
        return replace(blank, verdict="not claimed", reason=reason, message=f"{name}: {reason}")
    broken, tally = search.run(), search.tally
    blank = replace(blank, tally=tally)
    if broken is not None:
        decides = BY_ID[blank.requirement].level in session.options.deciding
        return replace(blank, verdict="breaks", broken=broken, decides=decides)
    if reason := search.too_little():
        return replace(blank, reason=reason, message=f"{blank.requirement} on {name} is not judged: {reason}")
    if tally.mostly_mistrusted:
        reason = f"{tally.mistrusted} of {tally.cases} cases could not have failed"
        return replace(
            blank, verdict="not run", reason=reason, message=f"{name}: {blank.requirement} is not judged: {reason}"
        )
    dialect, fields = implementation.adapter.claims.dialect, BY_ID[blank.requirement].dialect
    differs = [field for field in fields if getattr(dialect, field) != getattr(PYTORCH, field)]
    reason = ", ".join(f"{field.replace('_', ' ')}: {getattr(dialect, field)}" for field in differs)
    return replace(blank, verdict="differs" if differs else "meets", reason=reason)
