"""Summary of a campaign: its record, its case files, and the lines that it prints at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnconform.campaign.finding_signatures import gathered, write_findings
from bnconform.campaign.record import folded
from bnconform.running.session import Session

HOLDS, BREAKS, USAGE_ERROR, SUITE_FAILED = 0, 1, 2, 3
FEW = 3
"""Number of reasons printed if nothing was judged."""

Entries = Sequence[dict[str, Any]]


def tell(entries: Entries, session: Session, folder: Path) -> int:
    """Write the record and the findings into the folder; print a summary.

    Returns
    -------
    int
        0 if nothing new is broken, 1 if something is, 2 if nothing could be judged, 3 if nothing is broken, but the
        suite itself failed.
    """
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        cell = entry["cell"]
        by_place.setdefault((cell["requirement"], cell["implementation"]), []).append(entry)
    found = gathered(cell for entry in entries for cell in entry["broken"])
    failures = {place: failure for place, given in by_place.items() if (failure := _failure(given))}
    smallest = {(requirement, name): cell for (requirement, name, _), cell in reversed(found.items())}
    cells = [
        folded([entry["cell"] for entry in given]) | failures.get(place, {}) | _shown_of(smallest.get(place))
        for place, given in by_place.items()
    ]
    for cell in cells:
        session.add(cell)
    if cells:
        session.results().write(folder / "results.json")
    paths = write_findings(found, folder / "cases")
    cases = sum(cell.get("cases", 0) for cell in cells)
    print(f"{cases} cases, {len(found)} findings{_memory(entries)}" + (f"; written: {folder}" if cells else ""))
    for key, cell in found.items():
        finding = cell.get("finding")
        problem = f"{finding['quantity']} {finding['problem']}" if finding else cell["reason"]
        more = [cell.get("again"), str(paths[key]) if key in paths else None]
        print("; ".join([f"  {key[0]}  {key[1]}: {problem}", *filter(None, more)]))
    for (requirement, name), failure in failures.items():
        print(f"  {requirement}  {name} not judged: {failure['reason']}; {failure['again']}")
    if found:
        return BREAKS
    if failures:
        return SUITE_FAILED
    if all(cell["verdict"] in ("not run", "not claimed", "not judged") for cell in cells):
        why = list(dict.fromkeys(f"{cell['verdict']}: {cell['reason']}" for cell in cells))
        print("; ".join(["nothing was judged", *why[:FEW]]))
        return USAGE_ERROR
    return HOLDS


def _failure(entries: Entries) -> dict[str, Any]:
    """Return the "not judged" fields of a cell if the suite itself failed on some seeds, else nothing."""
    failed = [one for entry in entries for one in entry.get("failed", ())]
    if not failed:
        return {}
    seeds = sum(entry["item"]["stop"] - entry["item"]["start"] for entry in entries)
    reason = f"{sum(one['seeds'] for one in failed)} of {seeds} seeds gave no result: {failed[0]['reason']}"
    return {"verdict": "not judged", "reason": reason, "again": failed[0]["again"]}


def _shown_of(smallest: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields that a cell shows of its smallest finding."""
    if smallest is None:
        return {}
    shown = ("finding", "witness", "again", "script")
    fields = {name: smallest[name] for name in shown if name in smallest}
    return {"verdict": "breaks", "reason": smallest.get("reason", "")} | fields


def _memory(entries: Entries) -> str:
    """Describe the peak memory of a judging process and its implementation's process."""
    most = max((sum(entry.get("memory", {}).values()) for entry in entries), default=0)
    return f", at most {most} MiB in a process" if most else ""
