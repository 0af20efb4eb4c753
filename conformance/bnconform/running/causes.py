"""Probable causes of the laws that an implementation breaks, and conventions that its claims leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bnconform.running.budget import LARGEST
from bnconform.running.implementation import Implementation
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import is_file
from bnconform_reference.dialect import Dialect

CONVENTIONS = {"fixed_eps", "fixed_momentum", *(field.name for field in fields(Dialect))}
"""Claims that are choices; that a dtype or a rank fails is none."""
MOST = 3
"""With more probable causes, none is named: they would be guesses."""
ENOUGH = 2
"""Wrong results that other conventions must explain: one may be right by chance, since the bounds are the loosest."""
MEASURING = 300
"""Number of calls that measure the conventions of a file: 180 to 290 in the tests' gallery."""


def probable_causes(
    one: Implementation, cells: Sequence[dict[str, Any]], seconds: float, call: float | None
) -> list[str]:
    """Return sentences on the broken laws among an implementation's cells; none if nothing explains them.

    If calls hang, nothing is searched, since every hang takes as long as a call may.

    Parameters
    ----------
    one : Implementation
    cells : sequence of dict
        Its verdicts, as a record lists them.
    seconds : float
        Time for the search.
    call : float or None
        Seconds of a small call, if known.
    """
    from bnconform.cases.case_file import from_json
    from bnconform.diagnosis import diagnose

    broken = [cell for cell in cells if cell.get("finding") and "known" not in cell]
    if not broken or any(cell["finding"]["problem"].startswith("hung") for cell in broken):
        return []
    steps = [from_json(cell["witness"]) for cell in broken]
    single = tuple(case for cases in steps if len(cases) == 1 for case in cases if case.x.size <= LARGEST)
    affordable = one.adapter.claims.cost == "cheap" and MEASURING * (call or 0.0) <= seconds
    found = diagnose(one.adapter, single, seconds)
    return (found if len(found) <= MOST else []) + (_conventions(one, single) if affordable else [])


def _conventions(one: Implementation, witnesses: Sequence[Case]) -> list[str]:
    """Return a line on conventions of a file that differ from its claims, if they explain a wrong result."""
    from bnconform.identify.measured_claims import explains, measured_claims

    measured = measured_claims(one.adapter) if is_file(one.spec) else {}
    found = {name: value for name, value in measured.items() if name in CONVENTIONS}
    if (
        not found
        or not witnesses
        or sum(explains(one.adapter, found, case) for case in witnesses) < min(ENOUGH, len(witnesses))
    ):
        return []
    write = f"bnconform identify {one.spec} --write"
    return [f"or other conventions; if they are meant: CLAIMS = {found!r}, which {write} adds"]
