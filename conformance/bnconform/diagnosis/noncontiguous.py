"""Results that are wrong only if x, dy, the parameters or the statistics are not contiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np

from bnconform.diagnosis.bounded_calls import QUANTITIES, Probe, Prober
from bnconform.diagnosis.lines import Found, listed
from bnconform.diagnosis.trial_cases import CHOICES, SHAPES, case_of, usual
from bnconform.judging.comparison import compare
from bnconform.judging.judge import GRADIENTS
from bnconform.judging.oracle import expect
from bnconform_adapters.claims import Claims, Layout, Mode
from bnconform_adapters.plain.calling import place

DRAWS = 2
"""Number of cases in each layout. An output must be wrong in all of them, and right in all contiguous ones."""
LEFT_OUT = ("contiguous", "expanded", "far")
"""Layouts that are not tried: "expanded" needs equal values, and "far" may need too much memory."""
Laid: TypeAlias = Literal["layout", "dy_layout", "parameters_layout", "statistics_layout"]
NAMES: dict[Laid, str] = {
    "layout": "x is",
    "dy_layout": "dy is",
    "parameters_layout": "weight and bias are",
    "statistics_layout": "the running statistics are",
}
ARRAYS: dict[Laid, str] = {"layout": "x", "dy_layout": "dy"}


def by_layout(prober: Prober, mode: Mode) -> Found:
    """Outputs that are right if everything is contiguous, and wrong if one argument is not."""
    claims, found = prober.claims, Found()
    given = [layout for layout in claims.layouts if layout not in LEFT_OUT]
    bases = _contiguous(prober, mode)
    wanted: list[tuple[Laid, Sequence[Layout]]] = [("layout", given)]
    if "sliced" in given and claims.parameters != ("neither",):
        wanted.append(("parameters_layout", ["sliced"]))
    if claims.strided_statistics:
        wanted.append(("statistics_layout", ["sliced"]))
    if mode in claims.gradients:
        wanted.append(("dy_layout", given))
    for laid, layouts in wanted:
        found = _wrong_where(laid, mode, prober, bases, layouts) | found
    if mode in claims.gradients and "expanded" in claims.layouts:
        found = _wrong_where("dy_layout", mode, prober, _contiguous(prober, mode, expanded=True), ["expanded"]) | found
    return found


def _contiguous(prober: Prober, mode: Mode, *, expanded: bool = False) -> list[Probe]:
    claims, training = prober.claims, mode == "training"
    rank = max(claims.ranks, key=lambda rank: (rank in (3, 4), rank))
    shapes = [SHAPES[rank][i % len(SHAPES[rank])] for i in range(DRAWS)]
    return prober.probes(
        case_of(claims, usual(claims), shape, CHOICES[i], training=training, salt=40 + i, expanded=expanded)
        for i, shape in enumerate(shapes)
    )


def _wrong_where(laid: Laid, mode: Mode, prober: Prober, bases: Sequence[Probe], layouts: Sequence[Layout]) -> Found:
    """Lines about outputs that some layouts of one argument make wrong."""
    if len(bases) < DRAWS or not layouts:
        return {}
    probes = _laid(laid, prober, bases, layouts)
    suspects = [
        quantity
        for quantity in QUANTITIES
        if all(probe.right(quantity) for probe in bases)
        and any(probe.wrong(quantity) for calls in probes.values() for probe in calls)
    ]
    if not suspects:
        return {}
    # Called again, so that a result which changes from call to call is not taken for an effect of the layout.
    again = prober.probes(base.case for base in bases)
    anew = _laid(laid, prober, bases, layouts[::-1])
    calls = {layout: [*probes[layout], *anew[layout]] for layout in layouts}
    calls = {layout: own for layout, own in calls.items() if len(own) == 2 * len(bases)}
    found: Found = {}
    for quantity in suspects if len(again) == len(bases) else []:
        wrong = [layout for layout, own in calls.items() if all(probe.wrong(quantity) for probe in own)]
        right = [layout for layout, own in calls.items() if all(probe.right(quantity) for probe in own)]
        if wrong and len(wrong) + len(right) == len(calls) and all(probe.right(quantity) for probe in again):
            cause = _read_by_memory(prober.claims, laid, quantity, [probe for one in wrong for probe in calls[one]])
            where = "not contiguous" if len(wrong) == len(layouts) > 1 else listed(wrong, "or")
            pronoun = "it is" if laid in ARRAYS else "they are"
            found[mode, quantity] = [f"{cause}wrong where {NAMES[laid]} {where}; right where {pronoun} contiguous"]
    return found


def _laid(laid: Laid, prober: Prober, bases: Sequence[Probe], layouts: Sequence[Layout]) -> dict[Layout, list[Probe]]:
    """The same cases with one argument in each of the layouts."""
    change: Any = {layout: {laid: layout} for layout in layouts}
    return {layout: prober.probes(replace(base.case, **change[layout]) for base in bases) for layout in layouts}


def _read_by_memory(claims: Claims, laid: Laid, quantity: str, probes: Sequence[Probe]) -> str:
    """The cause, if the output is that of x or dy read in the order of memory."""
    array = ARRAYS.get(laid)
    if array is None or (array == "dy" and quantity not in GRADIENTS):
        return ""
    for probe in probes:
        given = getattr(probe.case, array)
        in_memory = place(given, getattr(probe.case, laid)).ravel(order="K")
        misread: Any = {array: np.ascontiguousarray(in_memory.reshape(given.shape))}
        due = expect(replace(probe.case, **misread), claims)[quantity]
        if (compare(getattr(probe.outcome, quantity), due).ratio > 1).any():
            return ""
    return f"{array} is read in the order of memory, whatever its strides: "
