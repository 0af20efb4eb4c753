"""Number of examples that fit into a time budget: a few timed calls choose one of a few numbers.

Equal choices and equal seeds give equal examples, however fast the machine is. The choice is printed, so that another
run can repeat it. The deadline serves implementations that later take longer than the timed calls.
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
from bnconform_adapters.own_input import LARGEST as OWN_LARGEST

CALLS = 132
"""Calls that all laws make for one example of the profile, each law weighted by its share.

Measured with the NumPy starter: 7,939 calls for 60 examples."""
ELEMENTS = 240_000
"""Number of elements of x in these calls: 14.3 million for 60."""
PROGRAMS, PROGRAMS_EACH = 100, 5
"""Calls with a new shape in all laws, and more of them for each example, if an implementation compiles for each shape.

Measured with the JAX starter at 21 examples: 181 with its jit, 235 without."""
OWN_SECONDS = 0.3
"""Seconds of drawing, oracle and comparison for these calls: 18 s for 60, in one process on two busy cores."""
USED = 0.6
"""Part of the budget that the estimate may fill; shrinking, loading and the page need the rest."""
SLOW = 8
"""If a law gets less than 1/8 of the profile's examples, shapes come from the small pool of interpreted kernels."""
SHRINKS = 400
"""Number of examples that shrinking may try, at the profile's full number of examples; fewer below it."""
LEAST_SHRINKS = 25
SMALL, LARGE = 6, 4096
"""Values per channel of the two timed cases."""
TYPICAL = 45_000
"""Elements of x in a large call of X5, the law with the most elements."""
LARGEST = 1 << 20
"""Largest number of elements of any drawn x that has values."""
LEAST_ELEMENTS = 64
"""Smallest bound on the elements of x: below it most laws could not draw their small shapes."""
OWN_CALL, OWN_PART = 2.5, 36
"""Seconds for a call at the size of a file's own inputs: a quarter of the usual time limit, and 1/36 of a budget."""
OWN_CALLS = 3
"""Number of times to repeat the large call then: the size follows from the shortest, and should not vary."""
TOO_SLOW = 1.0
"""If a small call takes more seconds than this, no large call is timed."""


@dataclass(frozen=True)
class Plan:
    """Limits of a law's search on an implementation.

    Attributes
    ----------
    examples : Examples or None
        Chosen examples; None if the profile decides.
    shrinks : float
        Number of examples that shrinking may try.
    deadline : float
        End of the search, on the clock of `time.monotonic`.
    budget : float or None
        Time budget in seconds.
    call : float or None
        Seconds of a small call, if measured.
    own : int or None
        Largest number of elements of a file's own inputs; None for no limit.
    """

    examples: Examples | None = None
    shrinks: float = inf
    deadline: float = inf
    budget: float | None = None
    call: float | None = None
    own: int | None = None

    @property
    def number(self) -> int | None:
        """Number of examples of a law of share 1; None if the profile decides."""
        return None if self.examples is None else self.examples.number

    def claims(self, claims: Claims) -> Claims:
        """Return the claims for drawing examples, with the chosen pool and sizes."""
        if self.own is not None and claims.own is not None:
            claims = replace(claims, own=claims.own.fitted(self.own))
        if self.examples is None:
            return claims
        cost = "interpreted" if self.examples.interpreted else claims.cost
        return replace(claims, cost=cost, largest=self.examples.largest)

    def as_data(self) -> dict[str, object]:
        """Return the parts of the plan that a record holds; the others mean nothing outside this process."""
        chosen = "" if self.examples is None else str(self.examples)
        return {"examples": chosen, "budget": self.budget, "call": self.call}


def plan(adapter: Adapter, profile: str, budget: float | None, examples: Examples | None = None) -> Plan:
    """Choose the number of examples.

    Parameters
    ----------
    adapter : Adapter
        Implementation; called up to ten times if there is a budget and no choice yet.
    profile : str
        Profile; its number of examples is the maximum.
    budget : float or None
        Seconds for all laws; None takes the profile's number.
    examples : Examples or None
        Earlier choice; if it is given, nothing is measured but the largest affordable size of a file's own inputs.
    """
    most = examples_of(profile, adapter.claims.cost)
    end = inf if budget is None else time.monotonic() + budget
    if budget is None or most is None or examples is not None:
        own = None if adapter.claims.own is None else _largest_own(*_costs(adapter)[:2], budget)
        return Plan(examples, inf if budget is None else SHRINKS, end, budget, own=own)
    small, element, compiling = _costs(adapter)
    largest = _largest(small, element, budget)
    cut = min(1.0, (largest or ELEMENTS) / TYPICAL)
    number = most
    while number > 1 and _estimate(number, small, cut * element, compiling) > USED * budget:
        number = max(1, number // 2)
    slow = SLOW * number < most and adapter.claims.cost == "cheap"
    chosen = None if number == most and largest is None else Examples(number, slow, largest)
    return Plan(
        chosen,
        max(LEAST_SHRINKS, round(SHRINKS * number / most)),
        end,
        budget,
        small,
        _largest_own(small, element, budget),
    )


def _largest(small: float, element: float, budget: float) -> int | None:
    """Return the largest affordable number of elements of an x: a power of two, or None for no limit."""
    affordable = max(budget / CALLS - small, 0.0)
    if affordable >= LARGEST * element:
        return None
    return max(LEAST_ELEMENTS, 1 << int(log2(max(affordable / element, 1.0))))


def _largest_own(small: float, element: float, budget: float | None) -> int | None:
    """Return the largest affordable number of elements of a file's own inputs; None for no limit."""
    seconds = OWN_CALL if budget is None else min(OWN_CALL, budget / OWN_PART)
    affordable = max(seconds - small, 0.0)
    return None if affordable >= OWN_LARGEST * element else int(affordable / element)


def _estimate(examples: int, small: float, element: float, compiling: float) -> float:
    """Estimate the seconds of all laws."""
    calls = examples * (CALLS * small + ELEMENTS * element + OWN_SECONDS)
    return calls + (PROGRAMS + PROGRAMS_EACH * examples) * compiling


def _costs(adapter: Adapter) -> tuple[float, float, float]:
    """Return the seconds of a small call, of each further element, and of compiling for a new shape.

    A small call that crashes or hangs counts as free: it ends each law at once, and other calls may differ. A large
    call that hangs counts as slow, since small calls returned.
    """
    case = _case(adapter.claims, SMALL)
    first, lost = _timed(adapter, case)
    if lost:
        return 0.0, 0.0, 0.0
    small = min(_timed(adapter, case)[0], first)
    compiling = 0.0
    if adapter.claims.cost != "cheap":  # the first call also starts the framework
        new = min(_timed(adapter, _case(adapter.claims, SMALL + more))[0] for more in (1, 3))
        compiling = max(0.0, new - small)
    if small > TOO_SLOW:
        return small, small / LARGE, compiling
    large = _case(adapter.claims, LARGE)
    seconds, exit = _timed(adapter, large)
    again = OWN_CALLS if adapter.claims.own is not None else int(adapter.claims.cost != "cheap")
    for _ in range(again):
        if not exit:
            later, exit = _timed(adapter, large)
            seconds = min(seconds, later)
    if exit not in ("", "hung"):
        return small, 0.0, compiling
    return small, max(0.0, seconds - small) / large.x.size, compiling


def _timed(adapter: Adapter, case: Case) -> tuple[float, Exit]:
    """Return the seconds of a call and its exit; laws judge its outputs."""
    start = time.monotonic()
    outcome = run(adapter, case)
    return time.monotonic() - start, outcome.exit


def _case(claims: Claims, n: int) -> Case:
    """Build a plain case that the claims allow."""
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
