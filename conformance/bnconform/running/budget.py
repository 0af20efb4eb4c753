"""How many examples fit into a budget of seconds: measured by a few calls, chosen from a short ladder.

Equal choices give equal examples under equal seeds, whatever the clock said; so what was chosen is printed, and can be
given again. The deadline is there for implementations that later take longer than these calls have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import inf, log2

from bnconform.cases.build import build
from bnconform.cases.recipe import Recipe
from bnconform.cases.shapes import with_values
from bnconform.running.options import Examples
from bnconform.running.profiles import examples_of
from bnconform_adapters.calls import run
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Adapter, Case
from bnconform_adapters.exits import Exit

CALLS = 132
"""Calls of all laws together for one example each, by their shares: 7,939 for 60 (counted on the NumPy starter)."""
ELEMENTS = 240_000
"""And elements of x in these calls: 14.3 million for 60."""
PROGRAMS = 300
"""Programs that an implementation which compiles for each shape is made to compile by all laws."""
OWN_SECONDS = 0.3
"""What drawing, the oracle and the comparison take for these calls: 18 s for 60, of one process on two busy cores."""
USED = 0.6
"""The part of the budget that the estimate may fill: shrinking, loading and the page take some, too."""
SLOW = 8
"""With fewer examples than this part of the profile's, shapes come from the small pool of interpreted kernels."""
SHRINKS = 400
"""Examples in which a broken case is made smaller, at the profile's full number of examples; fewer below it."""
LEAST_SHRINKS = 25
SMALL, LARGE = 6, 4096
"""Values per channel of the two cases that are timed."""
TYPICAL = 45_000
"""Elements of x in a large call of X5, which is where most elements are."""
LARGEST = 1 << 20
"""No x that is drawn for values has more elements."""
LEAST_ELEMENTS = 64
"""The smallest bound on the elements of x: below it most laws could not have their small shapes."""
TOO_SLOW = 1.0
"""Seconds of a small call after which no large one is made."""


@dataclass(frozen=True)
class Plan:
    """How much of a law's search an implementation gets.

    Attributes
    ----------
    examples : Examples or None
        None where the profile decides.
    shrinks : float
        Examples in which a broken case is made smaller.
    deadline : float
        On the clock of `time.monotonic`.
    budget : float or None
        Seconds that were given.
    call : float or None
        Seconds that a small call takes, where it was measured.
    """

    examples: Examples | None = None
    shrinks: float = inf
    deadline: float = inf
    budget: float | None = None
    call: float | None = None

    @property
    def number(self) -> int | None:
        """Examples of a law of share 1; None where the profile decides."""
        return None if self.examples is None else self.examples.number

    def claims(self, claims: Claims) -> Claims:
        """The claims that examples are drawn from: with the pool and the sizes that were chosen."""
        if self.examples is None:
            return claims
        cost = "interpreted" if self.examples.interpreted else claims.cost
        return replace(claims, cost=cost, largest=self.examples.largest)

    def as_data(self) -> dict[str, object]:
        """The plan for a record, without what holds for this process only."""
        chosen = "" if self.examples is None else str(self.examples)
        return {"examples": chosen, "budget": self.budget, "call": self.call}


def plan(adapter: Adapter, profile: str, budget: float | None, examples: Examples | None = None) -> Plan:
    """Choose the number of examples.

    Parameters
    ----------
    adapter : Adapter
        Is called up to five times, if there is a budget and nothing is chosen yet.
    profile : str
        Its number of examples is the most.
    budget : float or None
        Seconds for all laws; None takes the profile's number.
    examples : Examples or None
        Chosen before; then nothing is measured.
    """
    most = examples_of(profile, adapter.claims.cost)
    if budget is None:
        return Plan(examples)
    end = time.monotonic() + budget
    if most is None or examples is not None:
        return Plan(examples, SHRINKS, end, budget)
    small, element, compiling = _costs(adapter)
    largest = _largest(small, element, budget)
    cut = min(1.0, (largest or ELEMENTS) / TYPICAL)
    number = most
    while number > 1 and _estimate(number, small, cut * element, compiling) > USED * budget:
        number = max(1, number // 2)
    slow = SLOW * number < most and adapter.claims.cost == "cheap"
    chosen = None if number == most and largest is None else Examples(number, slow, largest)
    return Plan(chosen, max(LEAST_SHRINKS, round(SHRINKS * number / most)), end, budget, small)


def _largest(small: float, element: float, budget: float) -> int | None:
    """The most elements of an x whose call takes no more than its part of the budget: a power of two, or None."""
    affordable = max(budget / CALLS - small, 0.0)
    if affordable >= LARGEST * element:
        return None
    return max(LEAST_ELEMENTS, 1 << int(log2(max(affordable / element, 1.0))))


def _estimate(examples: int, small: float, element: float, compiling: float) -> float:
    """Seconds that all laws take."""
    return examples * (CALLS * small + ELEMENTS * element + OWN_SECONDS) + PROGRAMS * compiling


def _costs(adapter: Adapter) -> tuple[float, float, float]:
    """Seconds of a small call, of each further element, and of compiling for a new shape.

    A small call that crashes or hangs costs nothing: it says nothing of the others, and ends each law at once. A
    large one that hangs is taken for a slow one, which is what it is where small calls come back.
    """
    case = _case(adapter.claims, SMALL)
    first, lost = _timed(adapter, case)
    if lost:
        return 0.0, 0.0, 0.0
    small = min(_timed(adapter, case)[0], first)
    compiling = 0.0 if adapter.claims.cost == "cheap" else first - small
    if small > TOO_SLOW:
        return small, small / LARGE, compiling
    large = _case(adapter.claims, LARGE)
    seconds, exit = _timed(adapter, large)
    if adapter.claims.cost != "cheap" and not exit:
        seconds, exit = _timed(adapter, large)
    if exit not in ("", "hung"):
        return small, 0.0, compiling
    return small, max(0.0, seconds - small) / large.x.size, compiling


def _timed(adapter: Adapter, case: Case) -> tuple[float, Exit]:
    """Seconds of a call, and what became of it; what it gives, laws judge."""
    start = time.monotonic()
    outcome = run(adapter, case)
    return time.monotonic() - start, outcome.exit


def _case(claims: Claims, n: int) -> Case:
    """A plain case that the claims allow."""
    mode = claims.modes[0]
    recipe = Recipe(
        with_values(claims.ranks[0], n, 2),
        claims.dtypes[0],
        claims.parameters[0],
        training=mode == "training",
        momentum=claims.usable_momenta((0.1,))[0],
        eps=claims.usable_eps((1e-5,))[0],
        dy="random" if mode in claims.gradients else "absent",
        layout=claims.plain_layout(claims.ranks[0]),
        dy_layout=claims.plain_layout(claims.ranks[0]),
    )
    return build(recipe)
