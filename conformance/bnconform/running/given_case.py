"""Judging of a given case by a law."""

from __future__ import annotations

from bnconform.judging.findings import Broken
from bnconform.judging.judge import Judge
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case
from bnconform_adapters.worker.limits import DEFAULTS, CallOptions


def replay(
    law: Law,
    adapter: Adapter,
    claims: Claims,
    steps: tuple[Case, ...],
    spec: str | None = None,
    calls: CallOptions = DEFAULTS,
) -> Broken | None:
    """Judge one given example; return the broken law, or None if the law holds."""
    try:
        law.judge(Judge(adapter, claims, law.requirement, Tally(), spec, calls), steps)
    except Broken as broken:
        return broken
    return None
