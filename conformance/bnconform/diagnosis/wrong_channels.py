"""Results that are wrong from a certain channel on, or in an incomplete last block of channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnconform.cases.shapes import with_values
from bnconform.diagnosis.bounded_calls import QUANTITIES, Probe, Prober
from bnconform.diagnosis.lines import Found
from bnconform.diagnosis.trial_cases import CHOICES, case_of, usual
from bnconform.judging.comparison import compare
from bnconform_adapters.claims import Mode

CHANNELS = (90, 130, 300, 1100, 1290)
"""Numbers of channels: for any two powers of 2, their incomplete last blocks begin at different channels."""
FEW_CHANNELS = (90, 130, 140)
"""Numbers of channels if a channel takes milliseconds."""
BLOCKS = (4, 8, 16, 32, 64, 128, 256, 512)
VALUES = 6
"""Values per channel: few, and far enough apart that rounding hides no fault."""


def by_channel(prober: Prober, mode: Mode) -> Found:
    """Outputs whose last channels are wrong, from the same channel on for all values."""
    claims, wrong = prober.claims, dict[int, list[Probe]]()
    for channels in FEW_CHANNELS if claims.cost == "interpreted" else CHANNELS:
        shape = with_values(claims.ranks[-1], VALUES // 2, channels, samples=2)
        cases = [
            case_of(claims, usual(claims), shape, CHOICES[i], training=mode == "training", salt=60 + i)
            for i in range(2)
        ]
        wrong[channels] = prober.probes(cases)
    if not all(len(probes) == 2 for probes in wrong.values()):
        return {}
    found: Found = {}
    for quantity in QUANTITIES:
        places = {
            channels: _wrong_channels(probes, quantity)
            for channels, probes in wrong.items()
            if all(probe.given(quantity) for probe in probes)
        }
        steady = {channels: place for channels, place in places.items() if place is not None}
        if len(steady) == len(wrong) and any(steady.values()) and (sentence := _rule(steady)):
            found[mode, quantity] = [sentence]
    return found


def _wrong_channels(probes: list[Probe], quantity: str) -> tuple[int, ...] | None:
    """The channels that are wrong in every call; None if the calls do not agree."""
    found = set()
    for probe in probes:
        ratio = compare(getattr(probe.outcome, quantity), probe.expected[quantity]).ratio > 1
        axes = tuple(axis for axis in range(ratio.ndim) if axis != (1 if ratio.ndim > 1 else 0))
        found.add(tuple(int(channel) for channel in np.flatnonzero(ratio.any(axis=axes))))
    return found.pop() if len(found) == 1 else None


def _rule(wrong: Mapping[int, tuple[int, ...]]) -> str | None:
    """The one rule that the wrong channels of every C follow, as a sentence."""
    firsts = {place[0] for place in wrong.values() if place}
    if len(firsts) == 1 and (first := firsts.pop()) > 1:
        seen = sum(map(bool, wrong.values()))
        if seen > 1 and all(place == tuple(range(first, channels)) for channels, place in wrong.items()):
            return f"channels are right up to {first - 1} and wrong from {first} on"
    blocks = [block for block in BLOCKS if all(_tail(place, channels, block) for channels, place in wrong.items())]
    if len(blocks) == 1:
        (block,) = blocks
        return f"channels are wrong in a last block of fewer than {block}, and right in whole blocks of {block}"
    return None


def _tail(wrong: tuple[int, ...], channels: int, block: int) -> bool:
    """Return True if the wrong channels are an incomplete last block, or all of it but its first channel."""
    start = channels - channels % block
    if not start:
        return not wrong
    return wrong in (tuple(range(start, channels)), tuple(range(start + 1, channels)))
