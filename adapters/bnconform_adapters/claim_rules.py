"""Rules that find contradictions in claims and say what to claim instead.

Narrow claims (one dtype, one eps, no gradients) are no contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from math import isfinite
from typing import get_type_hints

from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import Dialect
from bnconform_reference.precision import LARGEST, SMALLEST_NORMAL, UNIT_ROUNDOFF

LARGEST_EPS = 1.0
"""Largest eps that the suite draws; the smallest is 0."""
SMALLEST_FIXED_EPS = SMALLEST_NORMAL["float32"]
"""Smallest eps that float32 stores with all its digits; a smaller one becomes 0 or loses digits."""
SMALLEST_WEIGHT = UNIT_ROUNDOFF["float32"]
"""Smallest weight of a batch for which 1 - weight differs from 1 in float32."""
RANKS = (2, 3, 4, 5)
NEVER_FOR_X = {"expanded": "has equal samples, which dy can have but not x", "far": "is for one law only"}
"""Layouts that most laws do not use for x, each with its reason."""


def contradictions(claims: Claims) -> str | None:
    """Return the first contradiction in claims as one line that says what to write instead, or None.

    Values must have the types of the fields; numbers may have any value.
    """
    return next(_contradictions(claims), None)


def _contradictions(claims: Claims) -> Iterator[str]:
    yield from _lists(claims)
    yield from _numbers(claims)
    yield from _modes(claims)
    yield from _eps(claims)
    yield from _momentum(claims)
    yield from _devices(claims)
    if not set(claims.layouts) - set(NEVER_FOR_X):
        reason = " and ".join(f"{name} {why}" for name, why in NEVER_FOR_X.items() if name in claims.layouts)
        yield f"layouts = {list(claims.layouts)} has none for x: {reason}; add 'contiguous' or another"


def _lists(claims: Claims) -> Iterator[str]:
    """Find lists that are empty but need an entry, or that have an entry twice."""
    for field in fields(claims):
        value = getattr(claims, field.name)
        if not isinstance(value, tuple):
            continue
        if not value and field.name in ("dtypes", "ranks", "layouts", "modes", "parameters"):
            yield f"{field.name} is empty; name at least one, or leave {field.name} out"
        if twice := [one for one in value if value.count(one) > 1]:
            yield f"{field.name} has {twice[0]!r} twice; name it once"
    if wrong := [rank for rank in claims.ranks if rank not in RANKS]:
        yield f"ranks has {wrong[0]!r}; pass some of {', '.join(map(str, RANKS))}"


def _numbers(claims: Claims) -> Iterator[str]:
    """Find numbers that are not finite, or that no statistic can hold."""
    for part in (claims, claims.dialect):
        hints = get_type_hints(type(part))
        for field in fields(part):
            value = getattr(part, field.name)
            if hints[field.name] in (float, float | None) and value is not None and not _finite(value):
                yield f"{field.name} = {value!r}; pass a finite number"
    dialect: Dialect = claims.dialect
    if not 0 <= dialect.initial_variance <= LARGEST["float32"]:
        yield f"initial_variance = {dialect.initial_variance!r}; pass a number from 0 up that float32 holds"
    if abs(dialect.initial_mean) > LARGEST["float32"]:
        yield f"initial_mean = {dialect.initial_mean!r}; pass a number that float32 holds"


def _finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _modes(claims: Claims) -> Iterator[str]:
    """Find derivatives in a mode that is not claimed, or without the gradients that they need."""
    for name in ("gradients", "second_order", "forward_mode"):
        for mode in getattr(claims, name):
            if mode not in claims.modes:
                word = name.replace("_", " ")
                yield f"{word} in {mode}, but no {mode} mode; claim the mode, or leave {word} in {mode} out"
    if not claims.tracked and (claims.untracked or "inference" in claims.modes):
        yield "tracked = False is for a layer without running statistics; claim modes = ['training'] and no untracked"
    for mode in claims.second_order:
        if mode not in claims.gradients:
            yield f"second order in {mode}, but no gradients in {mode}; claim them, or leave second order in {mode} out"


def _eps(claims: Claims) -> Iterator[str]:
    if not 0 <= claims.eps_min <= LARGEST_EPS:
        yield f"eps_min = {claims.eps_min!r}; pass a number from 0 to {LARGEST_EPS:g}, the range that is judged"
    fixed = claims.fixed_eps
    if fixed is None:
        return
    if not SMALLEST_FIXED_EPS <= fixed <= LARGEST_EPS:
        range_ = f"from {SMALLEST_FIXED_EPS:.3g}, which float32 holds, to {LARGEST_EPS:g}"
        yield f"fixed_eps = {fixed!r}; pass a number above 0, {range_}"
    if fixed < claims.eps_min:
        yield f"fixed_eps = {fixed!r} is below eps_min = {claims.eps_min!r}; claim an eps_min of at most {fixed!r}"


def _momentum(claims: Claims) -> Iterator[str]:
    """Find weights of the new batch outside 0 to 1, and weights that the kind of average excludes."""
    if not 0 <= claims.momentum_min <= 1:
        yield f"momentum_min = {claims.momentum_min!r}; pass the smallest weight of the new batch, from 0 to 1"
    fixed, dialect = claims.fixed_momentum, claims.dialect
    if dialect.debiased and dialect.cumulative:
        yield "debiased averages by momentum, cumulative by the count of batches; claim one of them"
    if fixed is None:
        return
    if not 0 <= fixed <= 1:
        yield f"fixed_momentum = {fixed!r}; pass the weight of the new batch, from 0 to 1"
    if fixed < claims.momentum_min:
        least = claims.momentum_min
        yield f"fixed_momentum = {fixed!r} is below momentum_min = {least!r}; claim a momentum_min of at most {fixed!r}"
    if dialect.cumulative:
        yield f"cumulative needs momentum None, which fixed_momentum = {fixed!r} excludes; claim one of them"
    if dialect.debiased and fixed < SMALLEST_WEIGHT:
        instead = f"claim a weight from {SMALLEST_WEIGHT:.3g} up, or no debiasing"
        yield f"debiased divides by the weight of the batches, which fixed_momentum = {fixed!r} makes 0; {instead}"


def _devices(claims: Claims) -> Iterator[str]:
    if claims.devices < 1:
        yield f"devices = {claims.devices}; pass the most shards that there can be, from 1 up"
    if claims.shards and claims.devices < 2:
        yield f"shards need at least 2 devices, and devices = {claims.devices}; pass 2 or more, or leave shards out"
    if claims.shards and "training" not in claims.modes:
        yield "shards are a training step, and training mode is not claimed; claim it, or leave shards out"
