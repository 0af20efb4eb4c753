"""How the reports word a finding and its numbers."""

from __future__ import annotations

from math import isfinite, isinf

from bnconform.judging.findings import describe_error, number
from bnconform_reports.records import Cell


def ratio_text(ratio: float) -> str:
    """A multiple of the allowed error in few characters."""
    if ratio >= 1e4:
        return f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def problem(cell: Cell) -> str:
    """What is wrong, in one line."""
    if cell.finding is None:
        return cell.reason or "broken"
    finding = cell.finding
    got, expected = finding.get("got"), finding.get("expected")
    if got is None or expected is None:
        return f"{finding['quantity']} {finding['problem']}"
    if not (isfinite(got) and isfinite(expected)):
        return f"{finding['quantity']} is {number(got)} where {number(expected)} is expected"
    if isinf(finding["ratio"]):
        return f"{finding['quantity']} is off, where no error is allowed"
    return f"{finding['quantity']} is off by {ratio_text(cell.worst_ratio)} times the allowed error"


def numbers(cell: Cell) -> dict[str, str]:
    """Got, expected, allowed and error of a broken cell, where its problem is a value."""
    finding = cell.finding or {}
    if any(finding.get(name) is None for name in ("got", "expected", "allowed")):
        return {}
    error = f"{finding['ratio']:.4g} times the allowed ({finding['ulp']:.3g} ulp)"
    if isinf(finding["ratio"]):
        error = describe_error(finding["got"], finding["expected"], finding["ratio"], finding["ulp"])
    where = f" at {list(finding['index'])}" if finding.get("index") is not None else ""
    return {
        "got": f"{number(finding['got'])}{where}",
        "expected": number(finding["expected"]),
        "allowed": f"{finding['allowed']:.3g}",
        "error": error,
    }
