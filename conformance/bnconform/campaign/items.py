"""Items of work: some seeds of one requirement on one implementation, about half a minute's worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SECONDS = 30.0
"""What an item should take: long beside the price of handing it over, short beside what may be lost with a worker."""


@dataclass(frozen=True)
class Pair:
    """What gets a budget: an implementation, as `--adapter` takes it, and a requirement's id."""

    spec: str
    requirement: str


@dataclass(frozen=True)
class Item:
    """Seeds ``start`` to ``stop - 1`` of a pair, counted from the campaign's own seed.

    Attributes
    ----------
    spec, requirement : str
    start, stop : int
    """

    spec: str
    requirement: str
    start: int
    stop: int

    @property
    def pair(self) -> Pair:
        """Whose seeds they are."""
        return Pair(self.spec, self.requirement)

    def as_data(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


def packed(due: Mapping[Pair, Iterable[int]], seconds: Mapping[Pair, float]) -> Iterator[Item]:
    """The seeds that are due as items, each of neighbouring seeds.

    Parameters
    ----------
    due : mapping of Pair to ints
        Sorted.
    seconds : mapping of Pair to float
        What one seed has taken so far; a pair that is not there gets one seed an item.
    """
    for pair, seeds in due.items():
        most = max(1, int(SECONDS / max(seconds.get(pair, SECONDS), 1e-3)))
        run: list[int] = []
        for seed in seeds:
            if run and (seed != run[-1] + 1 or len(run) == most):
                yield Item(pair.spec, pair.requirement, run[0], run[-1] + 1)
                run = []
            run.append(seed)
        if run:
            yield Item(pair.spec, pair.requirement, run[0], run[-1] + 1)
