"""What a campaign does next, told from its journal alone: rounds, and how many seeds each pair gets in them.

A round is planned when all rounds before it are finished. Its plan depends on what their seeds gave, not on who judged
them, when, or in what pieces; so a campaign that was killed, or runs elsewhere, does the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnconform.campaign.items import Item, Pair
from bnconform.campaign.signatures import signature_of

DOUBLINGS = 8
"""A round has twice the seeds of the one before, and no more than 2^8 for each pair on average."""
RISEN = 1.01
"""A worst error rises where it is this many times the one before."""
DRY = 3
"""A campaign is dry after so many rounds that brought neither a finding nor a worse error."""
HIGH, RISING, BROKEN = 4.0, 2.0, 0.25
"""Weights beside 1: of an error that comes to the allowed one, of one that rose; and of a pair that is broken."""


@dataclass
class Standing:
    """What the seeds of a pair have given.

    Attributes
    ----------
    seeds, cases : int
    worst : float
        Largest error as a multiple of the allowed one.
    rising : bool
        Whether it rose in the last round.
    signatures : set of str
        Of what broke.
    judged : bool
        Whether there is anything to be judged.
    """

    seeds: int = 0
    cases: int = 0
    worst: float = 0.0
    rising: bool = False
    signatures: set[str] = field(default_factory=set)
    judged: bool = True

    @property
    def weight(self) -> float:
        """Its part of a round, beside others'."""
        if self.signatures:
            return BROKEN
        return 1 + HIGH * min(self.worst, 1.0) + RISING * self.rising

    def after(self, entries: Sequence[dict[str, Any]], seeds: int) -> bool:
        """Take a round's entries in; tell whether they brought something new."""
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
    """The round that is due.

    Attributes
    ----------
    number : int
    due : dict of Pair to list of int
        Seeds that are not judged yet.
    dry : int
        How many rounds before it brought nothing new, one after the other.
    """

    number: int
    due: dict[Pair, list[int]]
    dry: int


def next_round(entries: Iterable[dict[str, Any]], pairs: Sequence[Pair], cases: int | None) -> Plan | None:
    """The first round that is not finished; None where `cases` are judged, or nothing can be.

    Parameters
    ----------
    entries : dicts
        The journal's.
    pairs : sequence of Pair
    cases : int or None
        After how many the campaign ends, the first round aside: it gives every pair a seed in any case.
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
    """How many seeds each pair gets in a round; none at all where the campaign is at its end."""
    if number == 0:
        return dict.fromkeys(standings, 1)
    live = {pair: standing for pair, standing in standings.items() if standing.judged}
    if all(standing.signatures for standing in live.values()):  # all is broken that can be, or nothing is left
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
