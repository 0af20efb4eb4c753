"""A campaign for false alarms: every law on correct implementations, seed after seed, until enough cases are judged.

Run as ``python tests/zoo/false_alarms.py --cases 100000``. It prints how many cases each implementation passed, and
every alarm; the exit status is 1 if there was one. A known deviation of a framework is no false alarm: the laws that
the ledger has for it are left out.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from time import perf_counter

from hunt import ZOO, correct_names

from bnconform.deviations import ledger
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform_adapters.candidate import load_candidate
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter
from bnconform_adapters.registry import load

SLOW = {"P8"}
"""Starts a process for each example; correct makes have no state that it could see."""


@dataclass(frozen=True)
class Subject:
    """A correct implementation, and the claims within which it is held to be."""

    name: str
    adapter: Adapter
    claims: Claims
    spec: str

    def judged_by(self) -> list[Law]:
        """The laws that it claims, but for known deviations."""
        return [
            law
            for id, law in laws().items()
            if id not in SLOW and law.source.why_not(self.claims) is None and not ledger.find(self.adapter.name, id)
        ]


def correct_makes() -> Iterator[Subject]:
    """The correct implementations of the zoo, as they claim to be."""
    for name in correct_names():
        candidate = load_candidate(ZOO / "correct.py", name)
        yield Subject(name, candidate, candidate.claims, f"{ZOO / 'correct.py'}:{name}")


def frameworks() -> Iterator[Subject]:
    """PyTorch where its arithmetic is beyond doubt: float64, and float32 on contiguous data."""
    for name in ("torch", "torch.functional"):
        adapter = load(name)
        yield Subject(f"{name} float64", adapter, replace(adapter.claims, dtypes=("float64",)), name)
        contiguous = replace(adapter.claims, dtypes=("float32",), layouts=("contiguous",))
        yield Subject(f"{name} float32 contiguous", adapter, contiguous, name)


def campaign(subjects: list[Subject], cases: int, first_seed: int, profile: str) -> tuple[Counter[str], list[str]]:
    """Judge at least that many cases, laws and subjects in random order; the counts, and the alarms."""
    counts: Counter[str] = Counter()
    alarms: list[str] = []
    settings = settings_for(profile, "cheap")
    pairs = [(subject, law) for subject in subjects for law in subject.judged_by()]
    for seed in count(first_seed):
        for subject, law in Random(seed).sample(pairs, len(pairs)):
            tally = Tally()
            broken = search(
                law, subject.adapter, subject.claims, tally=tally, settings=settings, seed=seed, spec=subject.spec
            )
            counts[subject.name] += tally.cases
            if broken is not None:
                alarms.append(f"{subject.name} {law.requirement} seed {seed}: {broken} {broken.steps[0].origin}")
            if counts.total() >= cases:
                return counts, alarms
    raise AssertionError("seeds do not end")


def main() -> int:
    """Run the campaign; 1 if there was an alarm."""
    parser = ArgumentParser(description="Look for false alarms on correct implementations.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--only", choices=["makes", "frameworks"])
    given = parser.parse_args()
    subjects = [] if given.only == "frameworks" else list(correct_makes())
    subjects += [] if given.only == "makes" else list(frameworks())
    start = perf_counter()
    counts, alarms = campaign(subjects, given.cases, given.seed, given.profile)
    for name, cases in counts.items():
        print(f"{cases:8} {name}")
    print(f"{counts.total():8} cases in {perf_counter() - start:.0f} s, {len(alarms)} alarms")
    print(*alarms, sep="\n")
    return bool(alarms)


if __name__ == "__main__":
    sys.exit(main())
