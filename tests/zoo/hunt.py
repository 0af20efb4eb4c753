"""Setting the suite's laws on a specimen, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from time import perf_counter

import correct
from hypothesis import Phase
from hypothesis import settings as Settings
from layers import LayerAdapter
from specimen import Specimen

from bnconform.judging.findings import Broken, signature
from bnconform.judging.histories import Histories
from bnconform.judging.judge import Judge
from bnconform.judging.law import Law
from bnconform.judging.tally import Tally
from bnconform.running.given_case import replay
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform_adapters.candidate import load_candidate
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits
from bnconform_reference.layer import BatchNorm

ZOO = Path(__file__).parent
TIME_LIMIT = 1.0
"""Seconds for a call in a worker."""
FAMILIES = tuple(sorted(path.stem.removeprefix("faults_") for path in ZOO.glob("faults_*.py")))


def specimens() -> Iterator[tuple[str, Specimen]]:
    """Every faulty specimen with its family."""
    for family in FAMILIES:
        for row in import_module(f"faults_{family}").SPECIMENS:
            yield family, row


def correct_names() -> tuple[str, ...]:
    """Names of the correct implementations."""
    return tuple(name for name, _ in correct.CORRECT)


def file_of(family: str) -> Path:
    """The file of a family of faults."""
    return ZOO / f"faults_{family}.py"


@dataclass(frozen=True)
class Kill:
    """A law that caught a specimen.

    Attributes
    ----------
    law : str
    cases : int
        Examples judged up to the first one that broke the law.
    seconds : float
        Time to that example.
    shrunk_seconds : float
        Time to the smallest one.
    finding, case : str
        What was wrong, and with what, in one line each.
    values : int
        Size of x in the smallest case, over all its steps.
    """

    law: str
    cases: int
    seconds: float
    shrunk_seconds: float
    finding: str
    case: str
    values: int


def subject(path: Path, name: str) -> Adapter:
    """A specimen as an implementation: functions, a layer's class, or in a worker what would end this process."""
    if path == file_of("fatal"):
        return WorkerAdapter(f"{path}:{name}", Limits(TIME_LIMIT))
    offered = getattr(import_module(path.stem), name)
    if isinstance(offered, type) and issubclass(offered, BatchNorm):
        return LayerAdapter(name, offered)
    return load_candidate(path, name)


def hunt(path: Path, name: str, law: Law, seed: int, profile: str = "default", *, shrink: bool = True) -> Kill | None:
    """Set one law on a fresh specimen; None where the law holds or is not claimed."""
    candidate = subject(path, name)
    try:
        return _hunt(path, name, candidate, law, seed, profile, shrink)
    finally:
        if isinstance(candidate, WorkerAdapter):
            candidate.close()


def _hunt(path: Path, name: str, candidate: Adapter, law: Law, seed: int, profile: str, shrink: bool) -> Kill | None:
    if law.source.why_not(candidate.claims) or (law.requirement == "P8" and isinstance(candidate, LayerAdapter)):
        return None
    settings = settings_for(profile, candidate.claims.cost)
    tally, start = _Timed(), perf_counter()
    broken = search(
        law,
        candidate,
        candidate.claims,
        tally=tally,
        settings=settings if shrink else Settings(settings, phases=(Phase.generate,)),
        seed=seed,
        spec=f"{path}:{name}",  # laws about a fresh process start one
    )
    if broken is None:
        return None
    first, cases = tally.broken_at - start, (tally.broken_after or 0) + 1
    return Kill(law.requirement, cases, first, perf_counter() - start, *_told(broken))


@cache
def correct_makes() -> tuple[dict[str, Adapter], ...]:
    """The correct implementations under their names, in groups for which every law draws the same cases.

    Claims decide what is drawn, apart from the grade and `bitwise`: these two only decide how it is judged.
    """
    groups: dict[Claims, dict[str, Adapter]] = {}
    for name in correct_names():
        make = subject(ZOO / "correct.py", name)
        groups.setdefault(replace(make.claims, grade="TW", bitwise=True), {})[name] = make
    return tuple(groups.values())


def alarm(makes: dict[str, Adapter], law: Law, seed: int, examples: int) -> Broken | None:
    """Set one law on correct implementations of one group; None where it holds on all of them.

    Every case is drawn once and judged on each. Histories are drawn while one layer is called, so each has its own.
    """
    specs = {name: f"{ZOO / 'correct.py'}:{name}" for name in makes}
    (first, make), *others = makes.items()
    if isinstance(law.source, Histories):
        found = [alarm({name: other}, law, seed, examples) for name, other in others]
        if alarms := [broken for broken in found if broken]:
            return alarms[0]
        others = []

    def on_each(judge: Judge, *steps: Case) -> None:
        law.function(judge, *steps)
        for name, other in others:
            if (broken := replay(law, other, other.claims, steps, specs[name])) is not None:
                raise broken

    return search(
        replace(law, function=on_each),
        make,
        make.claims,
        tally=Tally(),
        settings=settings_for("quick", make.claims.cost, examples=examples),
        seed=seed,
        spec=specs[first],
    )


class _Timed(Tally):
    """A tally that knows when the law was first broken."""

    broken_at = 0.0

    def note_broken(self) -> None:
        self.broken_at = self.broken_at or perf_counter()
        super().note_broken()


def _told(broken: Broken) -> tuple[str, str, int]:
    finding, steps = broken.finding, broken.steps
    ratio = "" if finding.got is None else f" ({finding.ratio:.3g} times the allowed error)"
    calls = " then ".join(f"{signature(case.x)}" for case in steps)
    return f"{finding.quantity} {finding.problem}{ratio}", f"{calls} {steps[0].origin}", sum(c.x.size for c in steps)
