"""Which variance normalizes, and where eps goes: D in y = (x - centre) / D.

A probe has two values a channel, -a and a, where a is a power of 2. Its mean 0 and variance a^2 are exact by one pass,
by two passes and by Welford's recurrence. So a training pass is an inference pass with exact statistics, and the
allowed error of inference holds for the probe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.identify.answers import Answer, Decision, shortest_decimal, worst_ratio
from bnconform.identify.probe import Probe, Unanswered, few, got, predicted, trouble
from bnconform.judging.oracle import Quantity
from bnconform_adapters.claims import Mode
from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_reference.double_double import Array, high
from bnconform_reference.precision import SMALLEST_NORMAL

Square = Callable[[Array, float], Array]
"""A function that gives D^2 from a variance and eps."""

RAISED = "raised to at least "
UNBIASED, UNBIASED_AGAIN = "unbiased", "running, times n / (n - 1)"
CORRECTED = (UNBIASED, UNBIASED_AGAIN)
EPS = (1e-20, 1e-12, 1e-7, 1e-5, 1e-3, 0.25)
INSIDE, IGNORED = "inside the root", "ignored"
TWICE = "added twice"
BEFORE_BESSEL = "inside the root, before n / (n - 1)"
"""2 (v + eps) at n = 2, where 2 v + 2 eps is the same."""

PLACES: dict[str, Square] = {
    INSIDE: lambda v, e: v + e,
    "outside the root": lambda v, e: (np.sqrt(v) + e) ** 2,
    IGNORED: lambda v, e: v,
    "as a floor of the variance": np.maximum,
    "multiplied with the variance": lambda v, e: v * (1 + e),
    TWICE: lambda v, e: v + 2 * e,
    "rounded to float16": lambda v, e: v + float(np.float16(e)),
    "inside, but no root is taken": lambda v, e: (v + e) ** 2,
    "inside, and squared": lambda v, e: (v + e) ** 4,
}


def _with_constant(constant: float) -> dict[str, Square]:
    """Places of eps with a constant of the implementation."""
    return {
        f"{RAISED}{constant:g}": lambda v, e: v + max(e, constant),
        f"fixed at {constant:g}": lambda v, e: v + constant,
        f"inside the root, with another {constant:g}": lambda v, e: v + e + constant,
        f"inside the root, variance raised to at least {constant:g}": lambda v, e: np.maximum(v, constant) + e,
    }


@dataclass(frozen=True, eq=False)
class _Seen:
    """One probe that returned: its case, y, and the batch's a^2 = variance of each channel."""

    case: Case
    outcome: Outcome
    y: AnyArray
    variance: Array


@dataclass(frozen=True)
class Normalizer:
    """The normalizer of one mode.

    Attributes
    ----------
    decision : Decision
        Decision between pairs of a variance and a place of eps.
    pairs : mapping of str to (str, str)
        The pairs by name.
    refused : mapping of float to str
        The errors that came instead of y, by eps.
    visible : tuple of float
        Values of eps whose own probe rules out that eps is ignored.
    seen : str
        Two probes in words.
    """

    decision: Decision
    pairs: Mapping[str, tuple[str, str]]
    refused: Mapping[float, str]
    visible: tuple[float, ...]
    seen: str

    def of(self, part: int) -> str:
        """The variance (0) or the place of eps (1), in words."""
        found = dict.fromkeys(self.pairs[name][part] for name in self.decision.within)
        return " or ".join(found) or "none of the known kinds"


def _kinds(seen: _Seen, mode: Mode) -> dict[str, tuple[Array, Array]]:
    """Alternatives for the centre and the variance, by name."""
    case, batch, zero = seen.case, seen.variance, np.zeros(CHANNELS)
    if case.running_mean is None or case.running_var is None:
        return {"biased": (zero, batch), UNBIASED: (zero, 2 * batch)}
    running = case.running_mean.astype(np.float64), case.running_var.astype(np.float64)
    if mode == "inference":
        return {
            "running": running,
            "batch's own": (zero, batch),
            UNBIASED_AGAIN: (running[0], 2 * running[1]),
            "1 / running^2": (running[0], 1 / running[1] ** 2),
        }
    kinds = {"biased": (zero, batch), UNBIASED: (zero, 2 * batch), "running": running}
    new = seen.outcome.running_mean, seen.outcome.running_var
    if new[0] is not None and new[1] is not None and not (new[1].astype(np.float64) == running[1]).all():
        kinds["running, after the update"] = (new[0].astype(np.float64), new[1].astype(np.float64))
    return kinds


def _ratio(seen: _Seen, mode: Mode, kind: str, place: Square) -> float:
    """The error of y on one probe, if an alternative is right, as a multiple of the allowed error.

    A channel counts only if the alternative's D^2 is a normal number of the dtype.
    """
    kinds = _kinds(seen, mode)
    if kind not in kinds:
        return float("inf")
    centre, variance = kinds[kind]
    square = place(variance, seen.case.eps)
    normal = (square >= SMALLEST_NORMAL["float32"]) & (square <= 1 / SMALLEST_NORMAL["float32"])
    return _ratio_by(seen, centre, np.where(normal, square, 1.0), normal)


def _ratio_by(seen: _Seen, centre: Array, square: Array, channels: NDArray[np.bool_]) -> float:
    """The error of y in some channels, if y is (x - centre) / D."""
    known = replace(seen.case, training=False, running_mean=centre, running_var=square, eps=0.0)
    quantity = predicted(known, "y")
    value, axes = high(quantity.value), (slice(None), channels)
    return worst_ratio([(seen.y[axes], Quantity(value[axes], quantity.allowed[axes]))])


def normalizer(probe: Probe, mode: Mode) -> Normalizer:
    """Find the normalizer of a mode.

    Raises
    ------
    Unanswered
        No probe gave a y that can be compared.
    """
    probe.need(mode)
    exponents = np.array([-10.0, -5.0, 0.0] if probe.dtype == "float16" else [-40.0, -10.0, 0.0])
    a = 2.0**exponents
    rows = np.stack([-a, a], axis=1)
    running_mean = 0.0 if mode == "inference" else a / 2
    seen, refused, fatal = [], {}, False
    for eps in EPS:
        case = probe.case(
            rows,
            training=mode == "training",
            running_mean=running_mean,
            running_var=np.minimum(16 * a**2, 3.0),
            momentum=0.25,
            eps=eps,
        )
        outcome = probe.attempt(case)[0]
        if outcome.error is not None:
            refused[eps] = trouble(outcome)
            fatal = fatal or bool(outcome.exit)
            continue
        seen.append(_Seen(case, outcome, got(outcome, "y", case), a**2))
    if not seen:
        raise Unanswered(next(iter(refused.values())), fatal=fatal)
    places = PLACES | {BEFORE_BESSEL: PLACES[TWICE]} | _own_constant(seen[0], mode)
    kinds = dict.fromkeys(kind for one in seen for kind in _kinds(one, mode))
    pairs = {}
    for kind in kinds:
        for place in places:
            if place == (TWICE if kind in CORRECTED else BEFORE_BESSEL):
                continue
            pairs[f"{kind} variance, eps {place}"] = (kind, place)
    ratios = {
        name: max(_ratio(one, mode, kind, places[place]) for one in seen) for name, (kind, place) in pairs.items()
    }
    own = "running" if mode == "inference" else "biased"
    visible = tuple(one.case.eps for one in seen if _ratio(one, mode, own, PLACES[IGNORED]) > 1)
    return Normalizer(Decision(ratios), pairs, refused, visible, _shown(seen, mode))


def _shown(seen: list[_Seen], mode: Mode) -> str:
    """A probe at an eps that is large beside a small variance, and one at which it is small."""
    told = []
    for one, channel in ((seen[-2 if len(seen) > 1 else -1], 1), (seen[-1], 2)):
        x, y = (few(array[1].ravel()[channel : channel + 1]) for array in (one.case.x, one.y))
        running_var = one.case.running_var if mode == "inference" else None
        by = "" if running_var is None else f", running_var {few(running_var[channel : channel + 1])}"
        told.append(f"x = -/+{x}{by}, eps {one.case.eps:g} gives y = {y}")
    return "; ".join(told)


def _own_constant(seen: _Seen, mode: Mode) -> dict[str, Square]:
    """Alternatives with the eps that y shows at the smallest eps given, if that is larger."""
    kind = "running" if mode == "inference" else "biased"
    variance = _kinds(seen, mode)[kind][1]
    with np.errstate(all="ignore"):
        y = seen.y[1].astype(np.float64).ravel()[0]
        effective = float((seen.case.x[1].astype(np.float64).ravel()[0] / y) ** 2 - variance[0])

    def holds(constant: float) -> bool:
        return _ratio_by(seen, np.zeros(CHANNELS), variance + constant, np.arange(CHANNELS) == 0) <= 1

    if not seen.case.eps < effective < EPS[-1]:  # a larger one could not be told from a fixed one
        return {}
    constant = shortest_decimal(effective, holds)
    return {} if constant is None or constant <= seen.case.eps else _with_constant(constant)


def place_of_eps(found: Normalizer, mode: Mode) -> Answer:
    """The answer on the place of eps in a mode."""
    place = found.of(1)
    return Answer(
        f"place of eps in {mode}",
        place,
        f"{found.seen} ({found.decision.errors()})",
        found.decision.status if " or " in place else "measured",
        claimed=INSIDE,
        agrees=None if " or " in place else place == INSIDE,
        laws=("F3", "I1"),
    )


def least_eps(found: Normalizer, claimed: float) -> Answer:
    """The answer on the smallest eps that is used as given."""
    field, place, told = "smallest eps honoured", found.of(1), f"{claimed:g}"
    tried = [eps for eps in EPS if eps not in found.refused]
    refusals = "".join(f"; eps {eps:g} {what}" for eps, what in list(found.refused.items())[-1:])
    if place == INSIDE and found.visible:
        least = found.visible[0]
        evidence = f"y is by eps as given at {', '.join(f'{eps:g}' for eps in found.visible)}{refusals}"
        if not found.refused:
            return Answer(field, f"{least:g} or less", evidence, claimed=told, agrees=True)
    elif place.startswith(RAISED):
        least = float(place.removeprefix(RAISED))
        evidence = f"smaller ones are raised: at eps {tried[0]:g} y is by {least:g}{refusals}"
    else:
        return Answer(field, "", f"eps is not added inside the root as given: {place}", "not measurable")
    return Answer(
        field, f"{least:g}", evidence, claimed=told, agrees=least <= claimed, stated={"eps_min": least}, laws=("F3",)
    )


def normalizing_variance(found: Normalizer) -> Answer:
    """The answer on the variance that normalizes in training."""
    value = found.of(0)
    return Answer(
        "variance that normalizes",
        value,
        f"n = 2, {found.seen}",
        found.decision.status if " or " in value else "measured",
        claimed="biased",
        agrees=None if " or " in value else value == "biased",
        laws=("F2",),
    )
