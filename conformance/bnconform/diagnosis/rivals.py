"""The mistake that explains wrong results: it fits every probe, shows on several, and has no rival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform.diagnosis.bounded_calls import Probe
from bnconform.diagnosis.mistakes import mistakes
from bnconform.diagnosis.setting import Setting
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import AnyArray, dtype_name, parameter_dtype
from bnconform_reference.channel_axes import from_channel_rows
from bnconform_reference.double_double import Array, high
from bnconform_reference.precision import UNIT_ROUNDOFF

CLOSE = 64
"""Number of roundings of the channel's largest value by which a result may differ from a mistaken formula.
The limit is never used for right results."""
VISIBLE = 8
"""A mistake shows if its result differs from the right one by more than this multiple of the rounding of both."""
SEEN = 2
"""Probes on which a mistake must be seen before it is named."""
SAME = 1e-9
"""Two mistakes count as one if they differ by less, relative to the larger value."""


def explanations(quantity: str, probes: Sequence[Probe], claims: Claims, *, seen: int = SEEN) -> list[str]:
    """Return the sentences of the mistake that explains an output on all probes of a mode; none if several mistakes do.

    Several sentences are returned if they mean the same under these claims; the most direct one is first.

    Parameters
    ----------
    probes : sequence of Probe
        Right and wrong probes of one mode; a mistake that should show on a right one is excluded.
    seen : int
        Number of probes on which the mistake must show.
    """
    probes = [probe for probe in probes if probe.given(quantity) and usable(probe)]
    if not any(probe.wrong(quantity) for probe in probes):
        return []
    settings = [Setting.of(probe.case, claims) for probe in probes]
    found: list[tuple[str, list[Array], int]] = []
    for sentence, mistake in mistakes(quantity, claims, training=probes[0].case.training).items():
        with np.errstate(all="ignore"):
            values = [mistake(setting) for setting in settings]
        judged = [_judged(quantity, probe, value) for probe, value in zip(probes, values, strict=True)]
        if all(fits for fits, _ in judged):
            found.append((sentence, values, sum(visible for _, visible in judged)))
    if not found or any(not _same(found[0][1], values) for _, values, _ in found[1:]):
        return []
    return [sentence for sentence, _, visible in found if visible >= seen]


def usable(probe: Probe) -> bool:
    """Return True if the probe has all that the mistake needs."""
    case = probe.case
    return case.values_per_channel > 1 and case.running_mean is not None and case.momentum is not None


def _judged(quantity: str, probe: Probe, value: Array) -> tuple[bool, bool]:
    """Return whether the result is that of a mistake, and whether it differs from the right one."""
    actual: AnyArray = getattr(probe.outcome, quantity)
    expected = probe.expected[quantity]
    right, allowed = high(expected.value), expected.allowed
    if quantity in ("y", "dx"):
        value = from_channel_rows(value, probe.case.x.shape)
        axes = (0, *range(2, right.ndim))
        size, sound = (np.abs(one).max(axis=axes, keepdims=True, initial=0.0) for one in (value, right))
    else:
        value = value[:, 0]
        size, sound = np.abs(value), np.abs(right)
    accumulation = UNIT_ROUNDOFF[parameter_dtype(probe.case.dtype)]
    with np.errstate(all="ignore"):
        grown = np.where(sound > 0, np.maximum(size / sound, 1.0), 1.0)
        own = allowed * grown + UNIT_ROUNDOFF[dtype_name(actual)] * np.abs(value) + CLOSE * accumulation * size
        off = np.abs(actual.astype(np.float64) - value)
        fits = (off <= own) | (np.isnan(value) & np.isnan(actual.astype(np.float64)))
        visible = np.abs(value - right) > VISIBLE * (own + allowed)
    return bool(fits.all()), bool(visible.any())


def _same(first: list[Array], second: list[Array]) -> bool:
    with np.errstate(all="ignore"):
        return all(
            bool((np.abs(a - b) <= SAME * np.maximum(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))).all())
            for a, b in zip(first, second, strict=True)
        )
