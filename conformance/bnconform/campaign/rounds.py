"""Plan of a campaign's next round, from its journal alone: how many seeds each pair gets.

A round is planned when all rounds before it are finished. Its plan depends on the results of their seeds, not on where,
when or in which items they were judged. A campaign that was killed, or runs elsewhere, therefore judges the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnconform.campaign.finding_signatures import signature_of
from bnconform.campaign.items import Item, Pair

DOUBLINGS = 8
"""Each round has twice the seeds of the round before, but at most 2^8 for each pair on average."""
RISEN = 1.01
"""Factor by which a worst error must exceed the one before to count as risen."""
DRY = 3
"""Number of rounds without a finding or a worse error after which a campaign is dry."""
HIGH, RISING, BROKEN = 4.0, 2.0, 0.25
"""Weights: added to 1 for an error that reaches the allowed one, and for a risen error; weight of a broken pair."""


@dataclass
class Standing:
    """Results of a pair's seeds so far.

    Attributes
    ----------
    seeds, cases : int
    worst : float
        Largest error as a multiple of the allowed one.
    rising : bool
        Whether the worst error rose in the last round.
    signatures : set of str
        Signatures of the findings.
    judged : bool
        Whether the pair has anything to judge.
    """

    seeds: int = 0
    cases: int = 0
    worst: float = 0.0
    rising: bool = False
    signatures: set[str] = field(default_factory=set)
    judged: bool = True

    @property
    def weight(self) -> float:
        """Weight of the pair's share in a round."""
        if self.signatures:
            return BROKEN
        return 1 + HIGH * min(self.worst, 1.0) + RISING * self.rising

    def after(self, entries: Sequence[dict[str, Any]], seeds: int) -> bool:
        """Add a round's entries; return True if they brought something new."""
        cases = sum(entry["cell"].get("cases", 0) for entry in entries)
        found = {s for entry in entries for cell in entry["broken"] if (s := signature_of(cell))} - self.signatures
        worst = max((entry["cell"].get("worst_ratio", 0.0) for entry in entries), default=0.0)
        self.rising = worst > RISEN * self.worst
        self.worst = max(worst, self.worst)
        self.seeds, self.cases = self.seeds + seeds, self.cases + cases
        self.signatures |= found
        self.judged = self.judged and (cases > 0 or bool(self.signatures))
        return bool(found) or (self.rising and not self.signatures)


@dataclass(frozen=True)
class Plan:
    """Plan of the next round.

    Attributes
    ----------
    number : int
    due : dict of Pair to list of int
        Seeds that are not judged yet.
    dry : int
        Number of rounds just before this one without anything new.
    """

    number: int
    due: dict[Pair, list[int]]
    dry: int


def next_round(entries: Iterable[dict[str, Any]], pairs: Sequence[Pair], cases: int | None) -> Plan | None:
    """Return the first unfinished round; None if `cases` are judged or nothing is left to judge.

    Parameters
    ----------
    entries : dicts
        Entries of the journal.
    pairs : sequence of Pair
    cases : int or None
        Number of cases after which the campaign ends; the first round always gives every pair a seed.
    """
    of_pair: dict[Pair, list[tuple[Item, dict[str, Any]]]] = {pair: [] for pair in pairs}
    for entry in entries:
        item = Item(**entry["item"])
        of_pair[item.pair].append((item, entry))
    done = {pair: {s for item, _ in given for s in range(item.start, item.stop)} for pair, given in of_pair.items()}
    standings = {pair: Standing() for pair in pairs}
    number = dry = 0
    while shares := _shares(standings, number, cases):
        first = {pair: standings[pair].seeds for pair in shares}
        due = {
            pair: seeds
            for pair, share in shares.items()
            if (seeds := [s for s in range(first[pair], first[pair] + share) if s not in done[pair]])
        }
        if due:
            return Plan(number, due, dry)
        new = False
        for pair, share in shares.items():
            within = range(first[pair], first[pair] + share)
            new |= standings[pair].after([entry for item, entry in of_pair[pair] if item.start in within], share)
        dry, number = 0 if new else dry + 1, number + 1
    return None


def _shares(standings: dict[Pair, Standing], number: int, cases: int | None) -> dict[Pair, int]:
    """Return each pair's number of seeds in a round; empty if the campaign is at its end."""
    if number == 0:
        return dict.fromkeys(standings, 1)
    live = {pair: standing for pair, standing in standings.items() if standing.judged}
    if all(standing.signatures for standing in live.values()):  # every pair is broken, or no pair is left
        return {}
    weights = {pair: standing.weight for pair, standing in live.items()}
    a_seed = 2.0 ** min(number, DOUBLINGS) * len(live) / (sum(weights.values()) or 1.0)
    if cases is not None:
        left = cases - sum(standing.cases for standing in standings.values())
        if left <= 0:
            return {}
        planned = sum(a_seed * weights[pair] * one.cases / one.seeds for pair, one in live.items())
        a_seed *= min(1.0, left / (planned or 1.0))
    return {pair: max(1, round(a_seed * weight)) for pair, weight in weights.items()}
