"""Results that are wrong at some ranks, in some dtypes or with some parameters only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bnconform.diagnosis.bounded_calls import QUANTITIES, Probe, Prober
from bnconform.diagnosis.lines import Found, listed
from bnconform.diagnosis.rivals import explanations
from bnconform.diagnosis.trial_cases import CHOICES, Terms, case_of, usual
from bnconform_adapters.claims import Claims, Mode
from bnconform_reference.precision import DtypeName

Shapes: TypeAlias = tuple[tuple[int, ...], ...]
SHAPES: dict[int, Shapes] = {
    2: ((12, 3), (20, 3)),
    3: ((2, 3, 6), (5, 3, 4)),
    4: ((2, 3, 3, 2), (5, 3, 2, 2)),
    5: ((2, 3, 3, 2, 1), (5, 3, 2, 2, 1)),
}
"""Shapes with the same n at every rank, and with few and more samples at each, so that only the rank differs."""
WITH = {
    "both": "with weight and bias",
    "weight": "with weight alone",
    "bias": "with bias alone",
    "neither": "without weight and bias",
}
UNEXPLAINED = "wrong "
"""The start of a sentence that says where results are wrong, but not why."""
HALF: tuple[DtypeName, ...] = ("float16", "bfloat16")
WIDE: tuple[DtypeName, ...] = ("float32", "float64")


@dataclass(frozen=True)
class Level:
    """One value of the varied property, and its calls.

    Attributes
    ----------
    name : str
        Name of the value, for a sentence.
    probes : sequence of Probe
    """

    name: str
    probes: Sequence[Probe]

    def every(self, judged: Callable[[Probe, str], bool], quantity: str) -> bool:
        """Return True if each call was judged so, as by :meth:`Probe.wrong`; False without calls."""
        return bool(self.probes) and all(judged(probe, quantity) for probe in self.probes)


def by_level(prober: Prober, mode: Mode) -> Iterator[Found]:
    """Find outputs that are always wrong at some values of one property and always right at the others.

    All else is equal. The result must be the same with the calls in another order: an earlier call may be the cause.
    """
    for vary in (by_rank, by_parameters, by_dtype):
        found = vary(prober, mode)
        again = vary(prober, mode, backwards=True) if found else {}
        yield {place: sentences for place, sentences in found.items() if again.get(place) == sentences}


def by_rank(prober: Prober, mode: Mode, *, backwards: bool = False) -> Found:
    """Outputs that are wrong at some ranks and right at the others."""
    claims, terms = prober.claims, usual(prober.claims)
    if len(claims.ranks) < 2:
        return {}
    wanted = {f"{rank}": (terms, SHAPES[rank]) for rank in claims.ranks}
    return _told(
        claims,
        mode,
        _levels(prober, mode, wanted, backwards),
        lambda names: f"where x has rank {listed(names, 'or')}",
        lambda names: f"where it has rank {listed(names, 'or')}",
    )


def by_parameters(prober: Prober, mode: Mode, *, backwards: bool = False) -> Found:
    """Outputs that are wrong with some of weight and bias and right with others, if a mistake explains it.

    Weight and bias change the size of y, and so its rounding and overflow; that is no cause.
    """
    claims, terms = prober.claims, usual(prober.claims)
    if len(claims.parameters) < 2:
        return {}
    shapes = SHAPES[claims.ranks[-1]]
    wanted = {WITH[present]: (replace(terms, parameters=present), shapes) for present in claims.parameters}
    found = _told(claims, mode, _levels(prober, mode, wanted, backwards), listed, listed)
    return {place: told for place, told in found.items() if not told[0].startswith(UNEXPLAINED)}


def by_dtype(prober: Prober, mode: Mode, *, backwards: bool = False) -> Found:
    """Outputs that are wrong in half types and right in wide ones.

    The opposite says nothing: rounding in half types hides errors.
    """
    claims, terms = prober.claims, usual(prober.claims)
    if not (set(claims.dtypes) & set(HALF) and set(claims.dtypes) & set(WIDE)):
        return {}
    shapes = SHAPES[claims.ranks[-1]]
    wanted = {f"{dtype}": (replace(terms, dtype=dtype), shapes) for dtype in claims.dtypes}
    levels = {level.name: level for level in _levels(prober, mode, wanted, backwards)}
    wide = [levels[dtype] for dtype in WIDE if dtype in levels]
    found: Found = {}
    for quantity in QUANTITIES:
        wrong = [levels[dtype] for dtype in HALF if dtype in levels and levels[dtype].every(Probe.wrong, quantity)]
        if wrong and all(level.every(Probe.right, quantity) for level in wide):
            found[mode, quantity] = [_sentence(quantity, claims, wrong, wide, _in, _in)]
    return found


def _in(names: Sequence[str]) -> str:
    return f"in {listed(names)}"


def _levels(prober: Prober, mode: Mode, wanted: Mapping[str, tuple[Terms, Shapes]], backwards: bool) -> list[Level]:
    """The calls of every level, made from the last one to the first if `backwards`."""
    order = list(wanted)[::-1] if backwards else list(wanted)
    drawn = {name: _drawn(prober, mode, *wanted[name]) for name in order}
    return [Level(name, drawn[name]) for name in wanted]


def _drawn(prober: Prober, mode: Mode, terms: Terms, shapes: Shapes) -> list[Probe]:
    """A call of each shape; none if one of them did not return."""
    cases = [
        case_of(prober.claims, terms, shape, CHOICES[i], training=mode == "training", salt=20 + i)
        for i, shape in enumerate(shapes)
    ]
    found = prober.probes(cases)
    return found if len(found) == len(cases) else []


def _told(
    claims: Claims,
    mode: Mode,
    levels: Sequence[Level],
    where: Callable[[Sequence[str]], str],
    elsewhere: Callable[[Sequence[str]], str],
) -> Found:
    found: Found = {}
    for quantity in QUANTITIES:
        judged = [level for level in levels if level.every(Probe.given, quantity)]
        wrong = [level for level in judged if level.every(Probe.far_off, quantity)]
        right = [level for level in judged if level.every(Probe.right, quantity)]
        if wrong and right and len(wrong) + len(right) == len(judged):
            found[mode, quantity] = [_sentence(quantity, claims, wrong, right, where, elsewhere)]
    return found


def _sentence(
    quantity: str,
    claims: Claims,
    wrong: Sequence[Level],
    right: Sequence[Level],
    where: Callable[[Sequence[str]], str],
    elsewhere: Callable[[Sequence[str]], str],
) -> str:
    """A sentence on where an output is wrong and where right, with the cause if a mistake explains all wrong calls."""
    named = explanations(quantity, [probe for level in wrong for probe in level.probes], claims)
    place = f"{where([level.name for level in wrong])}; right {elsewhere([level.name for level in right])}"
    return f"{named[0]}, {place}" if named else f"{UNEXPLAINED}{place}"
