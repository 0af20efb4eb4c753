"""Main loop of a campaign: plan a round, have its items judged, write each result to the journal at once."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bnconform.campaign.finding_signatures import signature_of
from bnconform.campaign.items import Item, Pair, packed
from bnconform.campaign.journal import Journal
from bnconform.campaign.judge_item import TRIES, Orders
from bnconform.campaign.pool import Lost, Workers
from bnconform.campaign.rounds import DRY, next_round
from bnconform.judging.findings import Finding
from bnconform.running.options import RunOptions

PATIENCE = 0.5
"""Seconds between two checks of the clock."""


@dataclass(frozen=True)
class Budget:
    """Limits of a campaign; the first limit reached ends it.

    Attributes
    ----------
    cases : int or None
    seconds : float or None
    until_dry : bool
        Whether to end after some rounds without anything new.
    """

    cases: int | None = None
    seconds: float | None = None
    until_dry: bool = False


@dataclass
class Progress:
    """Progress of a campaign.

    Attributes
    ----------
    round, cases, findings : int
    failed : int
        Number of seeds on which the suite itself failed.
    memory : int
        MiB held by the process of the last item and by its implementation's process.
    new_cases : int
        Number of cases since this command started.
    seconds : float
        Seconds since this command started.
    """

    round: int = 0
    cases: int = 0
    findings: int = 0
    failed: int = 0
    memory: int = 0
    new_cases: int = 0
    seconds: float = 0.0


def run(
    journal: Journal,
    pairs: Sequence[Pair],
    names: dict[str, str],
    orders: Orders,
    workers: Workers,
    budget: Budget,
    tell: Callable[[Progress], None],
) -> None:
    """Judge rounds until the budget is used up.

    Parameters
    ----------
    names : dict of str to str
        Name of each implementation, by its `--adapter` value.
    tell : callable
        Receives the progress after every item.
    """
    start, known = time.monotonic(), len(journal.entries)
    lost: Counter[Item] = Counter()

    def over() -> bool:
        return budget.seconds is not None and time.monotonic() - start > budget.seconds

    while not over() and (plan := next_round(journal.entries, pairs, budget.cases)):
        if budget.until_dry and plan.dry >= DRY:
            return
        pending = deque(packed(plan.due, _seconds_a_seed(journal.entries)))
        while workers.busy or (pending and not over()):
            if not over():
                workers.fill(pending)
            for item, result in workers.finished(PATIENCE):
                if isinstance(result, Lost):
                    lost[item] += 1
                    if lost[item] < TRIES:
                        pending.append(item)
                        continue
                    result = _lost_entry(item, names[item.spec], result, orders)
                journal.append({"item": asdict(item), "round": plan.number} | result)
                tell(_progress(journal.entries, known, plan.number, time.monotonic() - start))


def _seconds_a_seed(entries: Sequence[dict[str, Any]]) -> dict[Pair, float]:
    """Return the seconds per seed of each pair, from its last item."""
    found = {}
    for entry in entries:
        item = Item(**entry["item"])
        if entry["seconds"]:  # 0 for a lost item, whose time is not known
            found[item.pair] = entry["seconds"] / (item.stop - item.start)
    return found


def _progress(entries: Sequence[dict[str, Any]], known: int, number: int, seconds: float) -> Progress:
    def cases(some: Sequence[dict[str, Any]]) -> int:
        return sum(entry["cell"].get("cases", 0) for entry in some)

    found = {
        (cell["requirement"], cell["implementation"], signature_of(cell))
        for entry in entries
        for cell in entry["broken"]
    }
    failed = sum(one["seeds"] for entry in entries for one in entry.get("failed", ()))
    memory = sum(entries[-1].get("memory", {}).values())
    return Progress(number, cases(entries), len(found), failed, memory, cases(entries[known:]), seconds)


def _lost_entry(item: Item, name: str, lost: Lost, orders: Orders) -> dict[str, Any]:
    """Return the journal entry of an item that was lost at every try.

    A process that died counts against the implementation that it called; an exception counts against the suite.
    """
    options = RunOptions(profile=orders.profile, seed=orders.seed + item.start, time_limit=orders.time_limit)
    again = options.again(item.spec, item.requirement)
    cell: dict[str, Any] = {"requirement": item.requirement, "implementation": name, "again": again}
    seeds = f"{TRIES} times with seeds {orders.seed + item.start} to {orders.seed + item.stop - 1}"
    if lost.suite_failed:
        cell |= {"verdict": "not judged", "reason": f"bnconform failed, {seeds}: {lost.why}"}
        failed = [cell | {"seeds": item.stop - item.start}]
        return {"seconds": 0.0, "cell": cell | {"drawn": {}}, "broken": [], "failed": failed}
    finding = Finding(item.requirement, name, "call", f"gave no result, {seeds}: {lost.why}")
    cell |= {"verdict": "breaks", "finding": asdict(finding), "worst_ratio": finding.ratio, "worst_ulp": finding.ulp}
    broken = [cell | {"spec": item.spec, "script": ""}]
    return {"seconds": 0.0, "cell": cell | {"drawn": {}}, "broken": broken, "failed": []}
