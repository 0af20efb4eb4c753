"""Results that depend on more than the arguments: on chance, on earlier calls, on uninitialised memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform.cases.shapes import with_values
from bnconform.diagnosis.bounded_calls import QUANTITIES, Prober, Stopped
from bnconform.diagnosis.lines import listed
from bnconform.diagnosis.trial_cases import CHOICES, SHAPES, case_of, usual
from bnconform_adapters.claims import Mode
from bnconform_adapters.contract import Outcome

LONG = 4099
"""Values per channel of the longer call: enough for several blocks of any kernel."""
REPEATS = 4
"""Number of calls with equal arguments."""
CHANNELS: dict[Mode, tuple[int, int]] = {"training": (5, 7), "inference": (6, 9)}
"""Number of channels of calls that a kernel may remember; no other call of a diagnosis has that many."""


def unsteady(prober: Prober) -> dict[Mode, str]:
    """Sentences on modes in which a repeated call gives other bits, or earlier calls or free memory change the result.

    Each mode gets the first sentence that holds.
    """
    found: dict[Mode, str] = {}
    for mode in prober.claims.modes:
        try:
            if names := _irreproducible(prober, mode):
                told = f"the same call gave different bits in {listed(names)}"
                found[mode] = f"results are not reproducible in {mode}: {told}"
            elif names := _remembered(prober, mode):
                told = f"after a call of the same shape with other values, wrong in {listed(names)}"
                found[mode] = f"results depend on earlier calls in {mode}: {told}"
            elif names := _unwritten(prober, mode):
                told = "memory is read that was never written; NaN in it comes through"
                found[mode] = f"{listed(names)} in {mode}: {told}"
        except Stopped:
            break
    return found


def _irreproducible(prober: Prober, mode: Mode) -> list[str]:
    claims, rank = prober.claims, prober.claims.ranks[0]
    differing: set[str] = set()
    for shape in (SHAPES[rank][0], with_values(rank, LONG, 2)):
        case = case_of(claims, usual(claims), shape, CHOICES[0], training=mode == "training", salt=77)
        returned = _returned([prober.call(case) for _ in range(REPEATS)])
        differing |= {name for name in QUANTITIES if len({_bits(one, name) for one in returned}) > 1}
    return [name for name in QUANTITIES if name in differing]


def _bits(outcome: Outcome, name: str) -> bytes | None:
    array = getattr(outcome, name)
    return None if array is None else array.tobytes()


def _remembered(prober: Prober, mode: Mode) -> list[str]:
    """Outputs that are right in the first call of a shape and when it is repeated, and wrong in a call between."""
    first, second = (_between(prober, mode, channels, swap) for swap, channels in enumerate(CHANNELS[mode]))
    return [name for name in first if name in second]


def _between(prober: Prober, mode: Mode, channels: int, swap: int) -> list[str]:
    claims = prober.claims
    shape = with_values(claims.ranks[-1], 4, channels, samples=2)
    one, other = (
        case_of(claims, usual(claims), shape, CHOICES[i], training=mode == "training", salt=90 + i)
        for i in ((1, 0) if swap else (0, 1))
    )
    probes = prober.probes([one, other, one])
    if len(probes) < 3:
        return []
    before, between, after = probes
    return [name for name in QUANTITIES if before.right(name) and between.far_off(name) and after.right(name)]


def _unwritten(prober: Prober, mode: Mode) -> list[str]:
    """Outputs that change if free memory holds NaN."""
    claims = prober.claims
    shape = SHAPES[claims.ranks[0]][0]
    case = case_of(claims, usual(claims), shape, CHOICES[0], training=mode == "training", salt=78)
    plain, spoilt = prober.call(case), _returned([prober.call(case, spoilt=True) for _ in range(3)])
    return [name for name in QUANTITIES if _finite(plain, name) and not all(_finite(one, name) for one in spoilt)]


def _returned(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.error is None]


def _finite(outcome: Outcome, name: str) -> bool:
    array = getattr(outcome, name)
    return array is None or bool(np.isfinite(array.astype(np.float64)).all())
