"""Where the time of a case goes: clocks around the parts of the suite, while a law is searched as ever.

Times are CPU seconds of the thread that judges, so that what else the machine does is not in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import thread_time
from typing import Any

from bnconform.cases import strategies
from bnconform.cases.strategies import signature_pool
from bnconform.judging import caller, histories, judge, law
from bnconform.judging.tally import Tally
from bnconform.running.all_laws import laws
from bnconform.running.profiles import settings_for
from bnconform_adapters.contract import Adapter

PARTS = ("drawing", "values", "oracle", "implementation", "judging")
"""Drawing is Hypothesis and the choices; the implementation is all calls of its adapter, guard zones included."""
_CALLS = ("run_steps", "run_together", "population", "second_order", "jvp", "shards", "forward_passes")


@dataclass
class Clocks:
    """Seconds spent in each part, and of every single case.

    Attributes
    ----------
    seconds : dict of str to float
    own : list of float
        Of each example: all but the implementation and the drawing.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*PARTS, "law"), 0.0))
    own: list[float] = field(default_factory=list)

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time added to a part."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start = thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[part] += thread_time() - start

        return timed


@contextmanager
def running() -> Iterator[Clocks]:
    """Clocks around the suite's parts."""
    clocks, kept = Clocks(), []

    def put(owner: Any, name: str, function: Any) -> None:
        kept.append((owner, name, getattr(owner, name)))
        setattr(owner, name, function)

    judged = law.Law.judge

    def judging(self: law.Law, of: judge.Judge, steps: strategies.Steps) -> None:
        inside = clocks.seconds["implementation"]
        start = thread_time()
        try:
            judged(self, of, steps)
        finally:
            took = thread_time() - start
            clocks.seconds["law"] += took
            clocks.own.append(took - (clocks.seconds["implementation"] - inside))

    put(law.Law, "judge", judging)
    put(strategies, "build", clocks.around("values", strategies.build))
    put(histories, "build", strategies.build)
    for name in ("expect", "expect_at"):
        put(judge, name, clocks.around("oracle", getattr(judge, name)))
    for name in _CALLS:
        put(caller, name, clocks.around("implementation", getattr(caller, name)))
    try:
        yield clocks
    finally:
        for owner, name, function in reversed(kept):
            setattr(owner, name, function)


def split(adapter: Adapter, ids: tuple[str, ...], seed: int, profile: str = "default") -> dict[str, Any]:
    """Milliseconds of each part for a case, over the given laws; those that are not claimed are left out."""
    claims, tally = adapter.claims, Tally()
    pool = signature_pool(claims, seed)
    with running() as clocks:
        start = thread_time()
        for id in ids:
            if laws()[id].source.why_not(claims) is None:
                settings = settings_for(profile, claims.cost)
                law.search(laws()[id], adapter, claims, tally=tally, settings=settings, seed=seed, pool=pool)
        whole = thread_time() - start
    seconds = clocks.seconds
    seconds["judging"] = seconds.pop("law") - seconds["oracle"] - seconds["implementation"]
    seconds["drawing"] = whole - sum(seconds[part] for part in PARTS if part != "drawing")
    cases = len(clocks.own)
    own = sorted(clocks.own)
    beside = (seconds["drawing"] + seconds["values"]) / cases
    return {
        "cases": cases,
        "ms": {part: 1e3 * seconds[part] / cases for part in PARTS},
        "cases_per_second": cases / whole,
        "own_median_ms": 1e3 * (own[cases // 2] + beside),
    }
