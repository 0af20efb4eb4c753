"""Calls that tell mistakes apart, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bnconform.build import build
from bnconform.comparison import compare
from bnconform.diagnosis.mistakes import Setting, mistakes
from bnconform.judge import GRADIENTS, STATISTICS
from bnconform.oracle import Expected, Quantity, expect
from bnconform.recipe import Recipe
from bnconform.shapes import with_values
from bnconform_adapters.calls import run
from bnconform_adapters.contract import Adapter, AnyArray, Case, Claims, Outcome, dtype_name
from bnconform_reference.double_double import high
from bnconform_reference.precision import UNIT_ROUNDOFF
from bnconform_reference.shapes import from_channel_rows

QUANTITIES = ("y", *STATISTICS, *GRADIENTS)
CLOSE = 64
"""A mistake explains what is within so many roundings of its own value; a right value is never asked here."""
MOST = 3
"""Mistakes named for one output; more would say nothing."""
CONDITION = 1e4
"""|mean| / sd at which a one-pass variance is measured."""


@dataclass(frozen=True, eq=False)
class Probe:
    """One call: what came out, what should have."""

    case: Case
    outcome: Outcome
    expected: Expected

    def wrong(self, quantity: str) -> bool:
        """Whether an output is there and beyond its allowed error."""
        actual = getattr(self.outcome, quantity)
        if actual is None or quantity not in self.expected:
            return False
        if actual.shape != np.shape(self.expected[quantity].allowed):
            return False
        return bool((compare(actual, self.expected[quantity]).ratio > 1).any())


def diagnose(adapter: Adapter, witnesses: tuple[Case, ...] = ()) -> list[str]:
    """What the implementation probably does wrong, as sentences; none where no known mistake explains it.

    A mistake is named only if it explains an output on every probe on which that is wrong. Rounding may be anything on
    a case that broke a law; those are asked only about outputs that are right on all ordinary probes.

    Parameters
    ----------
    adapter : Adapter
    witnesses : tuple of Case
        Cases that broke a law.
    """
    claims = adapter.claims
    ordinary, broken = (
        [probe for case in cases if _usable(case) and (probe := _probed(adapter, case)).outcome.error is None]
        for cases in (_cases(claims), witnesses)
    )
    found: dict[str, None] = {}
    for training in (True, False):
        for quantity in QUANTITIES:
            wrong = _wrong(ordinary, quantity, training=training) or _wrong(broken, quantity, training=training)
            mode = "training" if training else "inference"
            explained = _explained(quantity, wrong, claims) if wrong else []
            found |= {f"{quantity} in {mode}: {sentence}": None for sentence in explained[:MOST]}
            if wrong and not explained:
                found |= {f"{quantity} in {mode}: {sentence}": None for sentence in _where(quantity, wrong)}
    if sentence := _one_pass(adapter, claims):
        found = {sentence: None} | found
    return list(found)


def _wrong(probes: list[Probe], quantity: str, *, training: bool) -> list[Probe]:
    return [probe for probe in probes if probe.case.training == training and probe.wrong(quantity)]


def _cases(claims: Claims) -> Iterator[Case]:
    """Small cases on which no two mistakes look alike, and one of many channels."""
    rank = claims.ranks[0]
    parameters = "both" if "both" in claims.parameters else claims.parameters[0]
    ordinary = Recipe(
        (3, 2), claims.dtypes[0], parameters, momentum=0.3, eps=max(0.1, claims.eps_min), precise=True, dy="random"
    )
    shapes = (with_values(rank, 6, 2, samples=2), with_values(rank, 3, 3, samples=1), with_values(rank, 2, 130))
    for i, shape in enumerate(shapes):
        for training in (True, False):
            mode = "training" if training else "inference"
            if mode in claims.modes:
                dy = "random" if mode in claims.gradients else "absent"
                # Two values a channel may lie so close that rounding hides everything, unless they are -1 and 1.
                eps, values = (0.1, 1e-3, 0.5)[i], ("normal", "normal", "balanced")[i]
                chosen = replace(ordinary, shape=shape, training=training, dy=dy, values=values)
                yield build(replace(chosen, eps=max(eps, claims.eps_min)))


def _usable(case: Case) -> bool:
    """Whether all that a mistake needs is there."""
    return case.values_per_channel > 1 and case.running_mean is not None and case.momentum is not None


def _probed(adapter: Adapter, case: Case) -> Probe:
    return Probe(case, run(adapter, case), expect(case, adapter.claims))


def _explained(quantity: str, probes: list[Probe], claims: Claims) -> list[str]:
    found = []
    for sentence, mistake in mistakes(quantity, training=probes[0].case.training).items():
        with np.errstate(all="ignore"):
            values = [mistake(Setting.of(probe.case, claims)) for probe in probes]
        if all(_gives(probe, quantity, value) for probe, value in zip(probes, values, strict=True)):
            found.append(sentence)
    return found


def _gives(probe: Probe, quantity: str, value: AnyArray) -> bool:
    """Whether what came out is what the mistake gives."""
    actual: AnyArray = getattr(probe.outcome, quantity)
    shaped = from_channel_rows(value, probe.case.x.shape) if quantity in ("y", "dx") else value[:, 0]
    allowed = np.maximum(probe.expected[quantity].allowed, CLOSE * UNIT_ROUNDOFF[dtype_name(actual)] * np.abs(shaped))
    return bool((compare(actual, Quantity(shaped, allowed)).ratio <= 1).all())


def _where(quantity: str, probes: list[Probe]) -> Iterator[str]:
    """What the places of the wrong elements have in common."""
    probe = max(probes, key=lambda p: p.case.channels)
    ratio = compare(getattr(probe.outcome, quantity), probe.expected[quantity]).ratio > 1
    axes = tuple(axis for axis in range(ratio.ndim) if axis != (1 if ratio.ndim > 1 else 0))
    channels = np.flatnonzero(ratio.any(axis=axes))
    first, last = int(channels[0]), probe.case.channels - 1
    if len(channels) == last - first + 1 and first > 1 and channels[-1] == last:
        yield f"channels are right up to {first - 1} and wrong from {first} on"


def _one_pass(adapter: Adapter, claims: Claims) -> str | None:
    """Whether the stored variance is E[x^2] - E[x]^2: wrong at the claimed grade, right at NN."""
    single = [dtype for dtype in claims.dtypes if dtype in ("float32", "float64")]
    if "training" not in claims.modes or not single or claims.grade in ("NN", "NU"):
        return None
    ordinary = Recipe(with_values(claims.ranks[0], 64, 4), single[0], claims.parameters[0], momentum=1.0, precise=True)
    well, badly = (build(replace(ordinary, ratio=ratio)) for ratio in (1.0, CONDITION))
    outcome, right = run(adapter, badly), _probed(adapter, well)
    if outcome.error is not None or outcome.running_var is None or right.wrong("running_var"):
        return None
    strict, loose = (expect(badly, replace(claims, grade=grade))["running_var"] for grade in (claims.grade, "NN"))
    if outcome.running_var.shape != np.shape(strict.allowed):
        return None
    if (compare(outcome.running_var, strict).ratio <= 1).all() or (compare(outcome.running_var, loose).ratio > 1).any():
        return None
    error = np.abs(outcome.running_var.astype(np.float64) - high(strict.value)) / high(strict.value)
    return (
        "the variance cancels where |mean| is large, as E[x^2] - E[x]^2 does: "
        f"its error is {float(error.max()):.2g} times the variance at |mean|/sd = {CONDITION:g}"
    )
