"""Items of work: some seeds of one requirement on one implementation, for about half a minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

SECONDS = 30.0
"""Intended time of an item: long compared with the cost of sending it; a lost worker loses no more than this."""


@dataclass(frozen=True)
class Pair:
    """An implementation, as `--adapter` takes it, and a requirement's id; rounds give each pair its seeds."""

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
        """Pair that the seeds belong to."""
        return Pair(self.spec, self.requirement)


def packed(due: Mapping[Pair, Iterable[int]], seconds: Mapping[Pair, float]) -> Iterator[Item]:
    """Pack due seeds into items of consecutive seeds.

    Parameters
    ----------
    due : mapping of Pair to ints
        Sorted seeds of each pair.
    seconds : mapping of Pair to float
        Seconds of one seed so far; a pair without an entry gets one seed per item.
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
