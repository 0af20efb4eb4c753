"""Diagnosis: the probable cause of wrong results, if one cause explains them and no other does."""

from __future__ import annotations

from bnconform.diagnosis.bounded_calls import MOST_CALLS, MOST_SECONDS, QUANTITIES, Probe, Prober
from bnconform.diagnosis.levels import by_level
from bnconform.diagnosis.lines import Found, told
from bnconform.diagnosis.noncontiguous import by_layout
from bnconform.diagnosis.one_pass import one_pass
from bnconform.diagnosis.rivals import explanations, usable
from bnconform.diagnosis.steadiness import unsteady
from bnconform.diagnosis.trial_cases import ordinary
from bnconform.diagnosis.wrong_channels import by_channel
from bnconform_adapters.claims import Mode
from bnconform_adapters.contract import Adapter, Case

__all__ = ["MOST_CALLS", "diagnose"]

MOST_WITNESSES = 16
"""How many cases that broke a law are called again."""


def diagnose(adapter: Adapter, witnesses: tuple[Case, ...] = (), seconds: float = MOST_SECONDS) -> list[str]:
    """Return the probable causes of wrong results, as sentences; none if no single cause explains them.

    A mistake is named only if no other known mistake gives the same results on every probe. If no mistake is named and
    an output is right on some kinds of calls and wrong on others, the sentence says on which.

    At most :data:`MOST_CALLS` calls are made. The last one is a call that ends its process or takes too long.

    Parameters
    ----------
    adapter : Adapter
    witnesses : tuple of Case
        Cases that broke a law; used for outputs that are right on all ordinary calls.
    seconds : float
        Time after which no call is made.
    """
    prober = Prober(adapter, seconds)
    chance, found, probes = unsteady(prober), Found(), list[Probe]()
    lines = list(chance.values())
    # A result that depends on more than the arguments is no evidence of a mistake.
    modes = [mode for mode in adapter.claims.modes if mode not in chance]
    for mode in modes:
        own = prober.probes(ordinary(adapter.claims, mode))
        named = {(mode, quantity): explanations(quantity, own, prober.claims) for quantity in QUANTITIES}
        found |= {place: sentences for place, sentences in named.items() if sentences}
        probes += own
    if "training" in modes and (sentence := one_pass(prober)):
        lines.append(sentence)
    for mode in modes:
        for places in (*by_level(prober, mode), by_layout(prober, mode), by_channel(prober, mode)):
            found = places | found
    return lines + told(_of_witnesses(probes, witnesses, prober, modes) | found)


def _of_witnesses(probes: list[Probe], witnesses: tuple[Case, ...], prober: Prober, modes: list[Mode]) -> Found:
    """Explain outputs that are wrong only on cases which broke a law."""
    again = prober.probes([case for case in witnesses[:MOST_WITNESSES] if _plain(case)])
    found: Found = {}
    for mode in modes:
        for quantity in QUANTITIES:
            own = [probe for probe in probes if probe.mode == mode and probe.given(quantity)]
            broke = [probe for probe in again if probe.mode == mode and probe.wrong(quantity) and usable(probe)]
            if own and broke and all(probe.right(quantity) for probe in own):
                found[mode, quantity] = explanations(quantity, own + broke, prober.claims, seen=1)
    return {place: sentences for place, sentences in found.items() if sentences}


def _plain(case: Case) -> bool:
    return {case.layout, case.dy_layout, case.parameters_layout, case.statistics_layout} == {"contiguous"}
