"""Hypothesis strategies: Cases from a Space and an implementation's claims.

Only choices are drawn, never elements: the values come from a generator seeded by the choices. Every recipe that
is drawn is valid. Implementations that compile per shape draw from a small pool of signatures, so that values vary
while programs are reused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from hypothesis import strategies as st

from bnconform.build import build, ratios
from bnconform.recipe import Recipe
from bnconform.shapes import (
    INTERPRETED_CHANNELS,
    WIDE_CHANNELS,
    Kind,
    Shape,
    at_least_two_values,
    shape_of,
    with_values,
)
from bnconform.spaces import Space
from bnconform_adapters.contract import Case, Claims, Layout, Parameters
from bnconform_reference.precision import DtypeName

T = TypeVar("T")
Steps: TypeAlias = tuple[Case, ...]
Step: TypeAlias = Literal["training", "inference", "empty", "single"]

POOL_SIZE = 20
COMPILED_LENGTHS = 6
"""Of the lengths that a law asks for, about this many are drawn where each costs a compilation."""
SALTS = 1000


@dataclass(frozen=True)
class Signature:
    """What a compiled program depends on, the mode aside."""

    shape: Shape
    dtype: DtypeName
    parameters: Parameters
    kind: Kind = "small"


def signature_pool(claims: Claims, seed: int) -> tuple[Signature, ...]:
    """Signatures for one run; every claimed dtype, rank and presence of parameters occurs. Empty where cheap."""
    if claims.cost == "cheap":
        return ()
    random = Random(seed)
    kinds: tuple[Kind, ...] = ("small", "small", "small", "wide", "long")
    wide = INTERPRETED_CHANNELS if claims.cost == "interpreted" else WIDE_CHANNELS
    return tuple(
        Signature(
            shape_of(kinds[i % len(kinds)], claims.ranks[i % len(claims.ranks)], random.choice, wide),
            claims.dtypes[0 if i % 2 == 0 else (i // 2) % len(claims.dtypes)],
            claims.parameters[0 if i % 3 else (i // 3) % len(claims.parameters)],
            kinds[i % len(kinds)],
        )
        for i in range(POOL_SIZE)
    )


@cache
def _sampled_from(alternatives: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(alternatives)


class _Chooser:
    """Draws one of several alternatives; a single one costs no draw."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def __call__(self, alternatives: tuple[T, ...]) -> T:
        if len(alternatives) == 1:
            return alternatives[0]
        chosen: T = self._draw(_sampled_from(alternatives))
        return chosen


def _signature(choose: _Chooser, space: Space, claims: Claims, pool: tuple[Signature, ...]) -> Signature:
    parameters = tuple(p for p in claims.parameters if space.parameters is None or p in space.parameters)
    dtypes = tuple(d for d in claims.dtypes if space.dtypes is None or d in space.dtypes)
    if space.n is not None:  # few shapes anyway; a compiled program needs one rank and dtype of them
        ranks = claims.ranks[:1] if pool else claims.ranks
        lengths = space.n[:: max(1, len(space.n) // COMPILED_LENGTHS)] if pool else space.n
        channels = choose((2,) if pool else (2, 1, 3))
        shape = with_values(choose(ranks), choose(lengths), channels)
        return Signature(shape, choose(dtypes[:1] if pool else dtypes), choose(parameters[:1] if pool else parameters))
    if pool:
        usable = tuple(s for s in pool if s.parameters in parameters and s.dtype in dtypes and s.kind in space.kinds)
        signature = choose(usable) if usable else replace(choose(pool), parameters=parameters[0], dtype=dtypes[0])
    else:
        shape = shape_of(choose(space.kinds), choose(claims.ranks), choose)
        signature = Signature(shape, choose(dtypes), choose(parameters))
    if space.mode == "training":
        return replace(signature, shape=at_least_two_values(signature.shape))
    return signature


@st.composite
def recipes(draw: st.DrawFn, space: Space, claims: Claims, pool: tuple[Signature, ...]) -> Recipe:
    """Recipes of the space that the claims allow."""
    choose = _Chooser(draw)
    signature = _signature(choose, space, claims, pool)
    # (N, C) is its own channels-last; an expanded x would be a constant channel.
    unsuitable = ("expanded", "channels_last") if len(signature.shape) == 2 else ("expanded",)
    layouts: tuple[Layout, ...] = tuple(
        layout
        for layout in claims.layouts
        if layout not in unsuitable and (space.layouts is None or layout in space.layouts)
    ) or ("contiguous",)
    dy, dy_layout = "absent", layouts[0]
    if space.wants_gradients(claims):
        dy, dy_layout = choose(space.dys), choose(layouts)
        if dy == "expanded" and "expanded" in claims.layouts:
            dy_layout = "expanded"
    return Recipe(
        shape=signature.shape,
        dtype=signature.dtype,
        parameters=signature.parameters,
        training=space.mode == "training",
        momentum=choose(space.momenta) if space.mode == "training" else 0.1,
        eps=choose(tuple(eps for eps in space.eps if eps >= claims.eps_min)),
        values=choose(space.values),
        ratio=choose(ratios(signature.dtype) if space.ratios is None else space.ratios),
        spread=choose(space.spreads),
        weight=choose(space.weights),
        bias=choose(space.biases),
        statistics=choose(space.statistics),
        dy=dy,
        layout=choose(layouts),
        dy_layout=dy_layout,
        precise=choose(space.precise),
        salt=draw(st.integers(0, SALTS - 1)),
        cotangents=choose(
            tuple(c for c in space.cotangents if c != "ddweight" or signature.parameters in ("both", "weight"))
        ),
    )


class Source(Protocol):
    """Where a law's examples come from."""

    def why_not(self, claims: Claims) -> str | None:
        """Why the law is not claimed, or None where it is."""

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """Examples: the steps of one layer's life, often a single one."""


@dataclass(frozen=True)
class Cases:
    """Single cases of a space."""

    space: Space

    def why_not(self, claims: Claims) -> str | None:
        """See :class:`Source`."""
        return self.space.why_not(claims)

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """See :class:`Source`."""
        return recipes(self.space, claims, pool).map(lambda recipe: (build(recipe),))


@dataclass(frozen=True)
class AnyOf:
    """Cases of several sources, those that are claimed."""

    sources: tuple[Source, ...]

    def why_not(self, claims: Claims) -> str | None:
        """See :class:`Source`."""
        reasons = [source.why_not(claims) for source in self.sources]
        return None if None in reasons else reasons[0]

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """See :class:`Source`."""
        return st.one_of(*(s.strategy(claims, pool) for s in self.sources if s.why_not(claims) is None))


def one_layer(cases: Steps) -> Steps:
    """The cases with the first one's parameters and statistics throughout: a layer has only one set."""
    first = cases[0]
    return tuple(
        replace(
            case,
            weight=first.weight,
            bias=first.bias,
            running_mean=first.running_mean,
            running_var=first.running_var,
        )
        for case in cases
    )


@dataclass(frozen=True)
class Sequences:
    """Several steps of one layer: the first two train, the others are of the given kinds.

    Batch sizes change from step to step, except where a new shape costs a compilation.
    """

    space: Space
    kinds: tuple[Step, ...]
    longest: int = 6

    def why_not(self, claims: Claims) -> str | None:
        """See :class:`Source`."""
        return self.space.why_not(claims)

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """See :class:`Source`."""
        kinds = ("training", "training", *self.kinds)

        @st.composite
        def sequences(draw: st.DrawFn) -> Steps:
            choose = _Chooser(draw)
            first = draw(recipes(self.space, claims, pool))
            chosen = draw(st.lists(_sampled_from(kinds), min_size=1, max_size=self.longest - 1))
            steps = [first]
            for i, kind in enumerate(chosen):
                shape = first.shape
                if kind == "training" and not pool:
                    shape = at_least_two_values((choose((shape[0], 2, 3, 5)), *shape[1:]))
                elif kind == "empty":
                    shape = (0, *shape[1:])
                elif kind == "single":
                    shape = (1, shape[1], *(1 for _ in shape[2:]))
                salt = first.salt + SALTS * (i + 1)
                steps.append(replace(first, shape=shape, training=kind != "inference", salt=salt))
            return one_layer(tuple(build(step) for step in steps))

        return sequences()
