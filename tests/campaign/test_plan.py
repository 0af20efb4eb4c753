"""What a campaign does next, on made-up ledgers: rounds, weights, ends, and that pieces and order do not matter."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bnconform.campaign.items import SECONDS, Item, Pair, packed
from bnconform.campaign.journal import Journal
from bnconform.campaign.rounds import next_round
from bnconform_adapters.errors import UserError

CALM, HIGH, BROKEN, VOID = (Pair("kernel.py", id) for id in ("F1", "F2", "G1", "G10"))
PAIRS = (CALM, HIGH, BROKEN, VOID)


def judged(pair: Pair, start: int, stop: int) -> dict[str, Any]:
    """An entry of the journal: every seed of a pair gives the same each time, as it does in truth."""
    cases = 0 if pair == VOID else 60 * (stop - start)
    ratio = {CALM: 0.1, HIGH: 0.9}.get(pair, 0.0)
    cell = {"requirement": pair.requirement, "implementation": "kernel.py", "verdict": "meets", "worst_ratio": ratio}
    broken = (
        [cell | {"verdict": "breaks", "finding": {"quantity": "dx", "problem": "is off"}}] if pair == BROKEN else []
    )
    item = {"spec": pair.spec, "requirement": pair.requirement, "start": start, "stop": stop}
    return {"item": item, "seconds": 1.0, "cell": cell | {"cases": cases}, "broken": broken}


def played(cases: int, chance: random.Random, *, most: int) -> list[dict[str, Any]]:
    """A whole campaign, its seeds judged in pieces of up to `most` and in any order."""
    entries: list[dict[str, Any]] = []
    while plan := next_round(entries, PAIRS, cases):
        seconds = {pair: SECONDS / chance.randint(1, most) for pair in PAIRS}
        items = list(packed(plan.due, seconds))
        chance.shuffle(items)
        for item in items[: chance.randint(1, len(items))]:  # killed then, and planned anew
            entries.append(judged(item.pair, item.start, item.stop))
    return entries


def seeds(entries: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Every seed judged, sorted."""
    items = [Item(**entry["item"]) for entry in entries]
    return sorted((item.requirement, seed) for item in items for seed in range(item.start, item.stop))


def test_pieces_order_and_kills_do_not_matter() -> None:
    """However items are cut, ordered and interrupted, a campaign judges the same seeds, each once."""
    runs = [seeds(played(20_000, random.Random(i), most=1 + 3 * i)) for i in range(5)]
    assert all(run == runs[0] for run in runs)
    assert len(set(runs[0])) == len(runs[0])


def test_campaign_ends_at_its_cases() -> None:
    """The last round is cut down to what is left."""
    for cases in (1000, 5000, 20_000):
        total = sum(entry["cell"]["cases"] for entry in played(cases, random.Random(0), most=5))
        assert cases <= total <= 1.05 * cases + 4 * 60


def test_budget_follows_high_errors() -> None:
    """A high error gets most seeds, what is broken few, and what is not claimed one."""
    counts = dict.fromkeys((pair.requirement for pair in PAIRS), 0)
    for requirement, _ in seeds(played(20_000, random.Random(0), most=5)):
        counts[requirement] += 1
    assert counts["F2"] > 2 * counts["F1"] > 4 * counts["G1"] > 0
    assert counts["G10"] == 1


def test_rising_error_gets_more() -> None:
    """Of two equal errors the one that rose in the last round gets more."""
    rose, stayed = Pair("a.py", "F1"), Pair("b.py", "F1")
    entries = []
    for pair, ratios in ((rose, (0.2, 0.5)), (stayed, (0.5, 0.5))):
        first = judged(pair, 0, 1)
        plan = next_round([first, judged(rose if pair == stayed else stayed, 0, 1)], (rose, stayed), None)
        assert plan is not None
        later = judged(pair, 1, plan.due[pair][-1] + 1)
        for entry, ratio in zip((first, later), ratios, strict=True):
            entry["cell"]["worst_ratio"] = ratio
            entries.append(entry)
    plan = next_round(entries, (rose, stayed), None)
    # Both pairs may still lack seeds of round 1 where their weights differed; finish it first.
    while plan is not None and plan.number == 1:
        for item in packed(plan.due, {}):
            entry = judged(item.pair, item.start, item.stop)
            entry["cell"]["worst_ratio"] = 0.5
            entries.append(entry)
        plan = next_round(entries, (rose, stayed), None)
    assert plan is not None
    assert len(plan.due[rose]) > len(plan.due[stayed])


def test_dry_rounds_are_counted() -> None:
    """Rounds without a finding or a worse error are dry; the first one is never."""
    entries: list[dict[str, Any]] = []
    for number, dry in enumerate((0, 0, 1, 2)):
        plan = next_round(entries, PAIRS, None)
        assert plan is not None
        assert (plan.number, plan.dry) == (number, dry)
        entries += [judged(item.pair, item.start, item.stop) for item in packed(plan.due, {})]


def test_nothing_to_judge_is_an_end() -> None:
    """Where nothing is claimed, or all that is claimed is broken, a campaign ends after its first round."""
    assert next_round([judged(VOID, 0, 1)], (VOID,), None) is None
    assert next_round([judged(VOID, 0, 1), judged(BROKEN, 0, 1)], (VOID, BROKEN), None) is None


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_ledger_cut_at_any_byte_keeps_whole_lines(tmp_path: Path, at: int) -> None:
    """What a kill left of the last line is cut off, and the next entry follows the whole ones."""
    path, entries = tmp_path / "journal.jsonl", [judged(CALM, i, i + 1) for i in range(2)]
    data = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    path.write_bytes(data[:at])
    with Journal(path) as journal:
        assert journal.entries == entries[: data[:at].count(b"\n")]
        journal.append(entries[1])
    with Journal(path) as journal:
        assert journal.entries == [*entries[: data[:at].count(b"\n")], entries[1]]


@pytest.mark.parametrize("line", ["nonsense", "1", "{}", '{"item": {}}'])
def test_damaged_ledger_is_refused(tmp_path: Path, line: str) -> None:
    """A whole line that is none of a journal's is not passed over."""
    path, sound = tmp_path / "journal.jsonl", json.dumps(judged(CALM, 0, 1))
    text = f"{sound}\n{line}\n{sound}\n"
    path.write_text(text)
    with pytest.raises(UserError, match="damaged in line 2"):
        Journal(path)
    assert path.read_text() == text
