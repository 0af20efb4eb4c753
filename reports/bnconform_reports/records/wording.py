"""Words, glyphs and numbers by which all reports show verdicts and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import isfinite, isinf

from bnconform.judging.findings import describe_error, number
from bnconform_reports.records.schema import JUDGED, Cell


@dataclass(frozen=True)
class Look:
    """How a kind of cell looks: class in style.css, glyph and word say the same."""

    css: str
    glyph: str
    word: str
    means: str


LOOKS = {
    "meets": Look("m", "✓", "meets", "held on every case"),
    "differs": Look("d", "≠", "differs", "held, by a documented convention other than PyTorch's"),
    "breaks": Look("b", "✗", "breaks", "a case breaks it"),
    "known": Look("k", "✗", "breaks, known", "the ledger of known deviations has it, with a witness"),
    "not claimed": Look("n", "·", "not claimed", "the implementation does not offer it"),
    "not run": Look("r", "-", "not run", "could not be run, or most cases could not have failed"),
    "not judged": Look("u", "?", "not judged", "bnconform itself failed or ran out of time; never counted as met"),
}
SYMBOLS = {kind: look.glyph for kind, look in LOOKS.items() if kind != "known"}
"""The glyph of each verdict."""


def look(cell: Cell) -> Look:
    """How a cell looks."""
    return LOOKS["known" if cell.verdict == "breaks" and cell.known else cell.verdict]


def headline(cells: Collection[Cell]) -> str:
    """The result in one sentence: how many cells break a law, how many of them are new, how many differ."""
    counts = Counter[str](cell.verdict for cell in cells)
    judged = sum(counts[verdict] for verdict in JUDGED)
    failed = f"{counts['not judged']} not judged: bnconform failed or ran out of time there"
    if not judged:
        return f"nothing was judged; {failed}" if counts["not judged"] else "nothing was judged"
    broken, differs, new = counts["breaks"], counts["differs"], sum(cell.is_new for cell in cells)
    text = f"{broken} of {judged} cells {_verb(broken, 'break')} a requirement"
    if broken and not new:
        text += ", all of them known deviations"
    elif broken:
        text += f", {new} of them not known before" if new < broken else ", none of them known before"
    text += f"; {differs} {_verb(differs, 'differ')} by documented convention"
    return f"{text}; {failed}" if counts["not judged"] else text


def _verb(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb


def known_cause(cell: Cell) -> tuple[str, str]:
    """The kind and the reason that the ledger gives for a broken cell."""
    known = cell.known or {}
    return known.get("kind", ""), known.get("reason", "")


def grade_of(cells: Iterable[Cell]) -> str:
    """The measured grade of an implementation; empty if no cell measured one."""
    return next((cell.grade for cell in cells if cell.grade), "")


def worst_met(cells: Iterable[Cell]) -> Cell | None:
    """The cell with the largest error that was still allowed, if any cell compared something."""
    met = (cell for cell in cells if cell.verdict in ("meets", "differs") and cell.elements)
    return max(met, key=lambda cell: cell.worst_ratio, default=None)


def ratio_text(ratio: float) -> str:
    """A multiple of the allowed error in few characters."""
    if ratio >= 1e4:
        return f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def value_text(cell: Cell) -> str:
    """The text beside the verdict: the grade if one is measured, else the worst error, if there is one."""
    if cell.grade:
        return cell.grade
    if not cell.is_judged or (cell.verdict != "breaks" and not cell.elements):
        return ""
    return ratio_text(cell.worst_ratio)


def problem(cell: Cell) -> str:
    """Describe what is wrong, in one line."""
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
    """Got, expected, allowed and error of a broken cell; empty if its problem is not a value."""
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
