"""Hypothesis strategies: Cases from a Space and an implementation's claims.

Hypothesis draws only choices, never elements: a generator seeded by the choices gives the values. Every drawn recipe is
valid. Implementations that compile per shape draw from a small pool of signatures, so that values vary while programs
are reused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from hypothesis import strategies as st

from bnconform.cases.build import build, ratios
from bnconform.cases.recipe import GRADIENTS, Recipe
from bnconform.cases.shapes import (
    INTERPRETED_CHANNELS,
    WIDE_CHANNELS,
    Kind,
    Shape,
    at_least_two_values,
    fitted,
    shape_of,
    with_values,
)
from bnconform.cases.spaces import Space
from bnconform.cases.tape import Tape, tapes
from bnconform_adapters.claims import Claims, Layout, Parameters, Split
from bnconform_adapters.contract import Case
from bnconform_reference.precision import DtypeName

T = TypeVar("T")
Steps: TypeAlias = tuple[Case, ...]
Step: TypeAlias = Literal["training", "inference", "empty", "single"]

POOL_SIZE = 20
SEEDS_A_POOL = 100
"""Number of neighbouring seeds that share a pool: a campaign uses them in order, and would compile anew for each."""
BATCH_SIZES = (None, 2, 3, 5)
"""Sizes of a later batch of a layer; None is the size of the first batch."""
COMPILED_LENGTHS = 6
"""Approximate number of a law's lengths to draw from, if each length costs a compilation."""
UNUSED = (0.1,)
"""Momentum of a layer that is not trained; building the layer needs one."""
STATE = ("weight", "bias", "running_mean", "running_var")
"""Arrays of a layer; its cases have the same ones."""
SALTS = 1000
"""Distance between the salts of a layer's steps; larger than any salt of a tape."""


@dataclass(frozen=True)
class Signature:
    """Properties that a compiled program depends on, except the mode."""

    shape: Shape
    dtype: DtypeName
    parameters: Parameters
    kind: Kind = "small"


def signature_pool(claims: Claims, seed: int) -> tuple[Signature, ...]:
    """Return the signatures for a run of this seed; empty for cheap implementations.

    Every claimed dtype, rank and choice of parameters occurs. Signatures change with every hundredth seed, values with
    every seed.
    """
    if claims.cost == "cheap":
        return ()
    random = Random(seed // SEEDS_A_POOL)
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


def _signature(tape: Tape, space: Space, claims: Claims, pool: tuple[Signature, ...]) -> Signature:
    signature = _of_any_size(tape, space, claims, pool)
    shape = fitted(signature.shape, claims.largest)
    if space.mode == "training" and space.n is None:
        shape = at_least_two_values(shape)
    return replace(signature, shape=shape)


def _of_any_size(tape: Tape, space: Space, claims: Claims, pool: tuple[Signature, ...]) -> Signature:
    parameters = tuple(p for p in claims.parameters if space.parameters is None or p in space.parameters)
    dtypes = tuple(d for d in claims.dtypes if space.dtypes is None or d in space.dtypes)
    ranks = space.ranks(claims)
    if space.n is not None:  # the shapes are few; compiled programs get one rank and dtype
        few = 1 if pool else None
        lengths = space.n[:: max(1, len(space.n) // COMPILED_LENGTHS)] if pool else space.n
        rank, length = tape.choose_size(ranks[:few]), tape.choose_size(lengths)
        shape = with_values(rank, length, tape.choose_size((2,) if pool else (2, 1, 3)))
        return Signature(shape, tape.choose("dtype", dtypes[:few]), tape.choose("parameters", parameters[:few]))
    if pool:
        fitting = tuple(s for s in pool if len(s.shape) in ranks)
        usable = tuple(s for s in fitting if s.parameters in parameters and s.dtype in dtypes and s.kind in space.kinds)
        signature = tape.choose("signature", usable or fitting)
        return signature if usable else replace(signature, parameters=parameters[0], dtype=dtypes[0])
    shape = shape_of(tape.choose_size(space.kinds), tape.choose_size(ranks), tape.choose_size)
    return Signature(shape, tape.choose("dtype", dtypes), tape.choose("parameters", parameters))


def recipes(space: Space, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Recipe]:
    """Return a strategy for the space's recipes that the claims allow."""
    return tapes.map(lambda data: _recipe(Tape(data), space, claims, pool))


def _recipe(tape: Tape, space: Space, claims: Claims, pool: tuple[Signature, ...]) -> Recipe:
    choose, signature = tape.choose, _signature(tape, space, claims, pool)
    layouts = space.layouts_of(claims, len(signature.shape))
    dy: str
    dy_layout: Layout
    dy, dy_layout = "absent", layouts[0]
    if space.wants_gradients(claims):
        dy, dy_layout = choose("dy", space.dys), choose("dy_layout", layouts)
        if dy == "expanded" and "expanded" in claims.layouts:
            dy_layout = "expanded"
    return Recipe(
        shape=signature.shape,
        dtype=signature.dtype,
        parameters=signature.parameters,
        training=space.mode == "training",
        momentum=choose("momentum", claims.usable_momenta(space.momenta if space.mode == "training" else UNUSED)),
        eps=choose("eps", claims.usable_eps(space.eps)),
        values=choose("values", space.values),
        ratio=choose("ratio", ratios(signature.dtype) if space.ratios is None else space.ratios),
        spread=choose("spread", space.spreads),
        weight=choose("weight", space.weights),
        bias=choose("bias", space.biases),
        statistics=choose("statistics", space.statistics if claims.tracked else ("absent",)),
        dy=dy,
        layout=choose("layout", layouts),
        dy_layout=dy_layout,
        precise=choose("precise", space.precise),
        salt=tape.salt(),
        wanted=GRADIENTS if claims.parameter_gradients else "dx",
        cotangents=choose(
            "cotangents",
            tuple(c for c in space.cotangents if c != "ddweight" or signature.parameters in ("both", "weight")),
        ),
    )


class Source(Protocol):
    """Source of a law's examples."""

    def why_not(self, claims: Claims) -> str | None:
        """Return why the law is not claimed, or None if it is claimed."""

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        """Return a strategy for examples: the steps of one layer, often a single one."""


@dataclass(frozen=True)
class OfSpace:
    """A law's examples from a space, which says whether the law is claimed."""

    space: Space

    def why_not(self, claims: Claims) -> str | None:
        """See :meth:`Source.why_not`."""
        return self.space.why_not(claims)


@dataclass(frozen=True)
class Cases(OfSpace):
    """Source of single cases of a space."""

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        return recipes(self.space, claims, pool).map(lambda recipe: (build(recipe),))


def _samples(case: Case, start: int, end: int) -> Case:
    """Return some samples of a case."""
    return replace(case, x=case.x[start:end], dy=None if case.dy is None else case.dy[start:end])


@dataclass(frozen=True)
class Shards(OfSpace):
    """Source of batches in shards on several devices, with one case per device; the space draws the first."""

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        sizes: dict[Split, tuple[int | None, ...]] = {"equal": (None,), "unequal": (1, 2, 3), "empty": (0,)}
        others = tuple(dict.fromkeys(size for split in claims.shards for size in sizes[split]))
        later = st.lists(_sampled_from(others), min_size=1, max_size=claims.devices - 1)

        @st.composite
        def shards(draw: st.DrawFn) -> Steps:
            first = draw(recipes(self.space, claims, pool))
            samples = [first.shape[0], *(first.shape[0] if n is None else n for n in draw(later))]
            at = draw(st.integers(0, len(samples) - 1))
            samples = [*samples[at:], *samples[:at]]
            if draw(st.booleans()):  # parts of one batch, with similar values
                whole = build(replace(first, shape=(sum(samples), *first.shape[1:])))
                return tuple(_samples(whole, end - n, end) for n, end in zip(samples, accumulate(samples), strict=True))
            apart = (
                replace(first, shape=(n, *first.shape[1:]), salt=first.salt + SALTS * i) for i, n in enumerate(samples)
            )
            return one_layer(tuple(build(recipe) for recipe in apart))

        return shards()


@dataclass(frozen=True)
class AnyOf:
    """Source of the cases of several sources, if they are claimed."""

    sources: tuple[Source, ...]

    def why_not(self, claims: Claims) -> str | None:
        reasons = [source.why_not(claims) for source in self.sources]
        return None if None in reasons else reasons[0]

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        return st.one_of(*(s.strategy(claims, pool) for s in self.sources if s.why_not(claims) is None))


@dataclass(frozen=True)
class InThreads(AnyOf):
    """Source of cases for calls from several threads, if the implementation does not run in Triton's interpreter."""

    def why_not(self, claims: Claims) -> str | None:
        return "Triton's interpreter is not safe in threads" if claims.interpreter else super().why_not(claims)


def one_layer(cases: Steps) -> Steps:
    """Give all cases the first one's parameters and statistics: a layer has only one set."""
    first = cases[0]
    state: dict[str, Any] = {name: getattr(first, name) for name in STATE}
    return tuple(replace(case, **state) for case in cases)


@dataclass(frozen=True)
class Sequences(OfSpace):
    """Source of several steps of one layer. The space draws the first; each later one trains or is one of `kinds`.

    Batch sizes change from step to step, unless a new shape costs a compilation.
    """

    kinds: tuple[Step, ...]
    longest: int = 6

    def strategy(self, claims: Claims, pool: tuple[Signature, ...]) -> st.SearchStrategy[Steps]:
        others = tuple(kind for kind in self.kinds if kind != "empty" or claims.empty_batches)
        kinds = ("training", "training", *others)
        later = st.lists(
            st.tuples(_sampled_from(kinds), _sampled_from(BATCH_SIZES)), min_size=1, max_size=self.longest - 1
        )

        @st.composite
        def sequences(draw: st.DrawFn) -> Steps:
            first = draw(recipes(self.space, claims, pool))
            steps = [first]
            for i, (kind, samples) in enumerate(draw(later)):
                shape = first.shape
                if kind == "training" and not pool:
                    shape = at_least_two_values((samples or shape[0], *shape[1:]))
                elif kind == "empty":
                    shape = (0, *shape[1:])
                elif kind == "single":
                    shape = (1, shape[1], *(1 for _ in shape[2:]))
                salt = first.salt + SALTS * (i + 1)
                steps.append(replace(first, shape=shape, training=kind != "inference", salt=salt))
            return one_layer(tuple(build(step) for step in steps))

        return sequences()
