"""Building of a Case from a Recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.recipe import Recipe
from bnconform.cases.regimes import REGIMES, Rows, across_space, digits
from bnconform_adapters.contract import DTYPES, AnyArray, Case, parameter_dtype
from bnconform_reference.channel_axes import from_channel_rows
from bnconform_reference.precision import LARGEST, UNIT_ROUNDOFF, DtypeName

# Exponents of the channels' sd, in powers of 10, unless the dtype needs others.
_SPREADS: dict[str, tuple[float, float]] = {
    "unit": (0, 0),
    "varied": (-4, 4),
    "small": (-2, 0),
    "tiny": (-12, -6),
    "huge": (8, 13),
    "subnormal": (-44, -39),
}
# float16 ends at 65504 and cannot hold the extremes of the others; float64 holds more than float32. The sum of squares
# of "huge" values stays just below the accumulator's overflow.
_OF_DTYPE: dict[DtypeName, dict[str, tuple[float, float]]] = {
    "float16": {"varied": (-2, 2), "tiny": (-4, -3), "huge": (3, 3.5), "subnormal": (-7, -5)},
    "float64": {"huge": (140, 150), "subnormal": (-322, -309)},
}


def build(recipe: Recipe) -> Case:
    """Build the Case of a recipe."""
    rng = np.random.default_rng(recipe.seed())
    channels, parameter = recipe.channels, DTYPES[parameter_dtype(recipe.dtype)]

    def per_channel(kind: str) -> AnyArray:
        return _PER_CHANNEL[kind](rng, channels, recipe.precise).astype(parameter)

    x = _x(recipe, rng)
    case = Case(
        x=x,
        dy=_dy(recipe, rng),
        weight=per_channel(recipe.weight) if recipe.parameters in ("both", "weight") else None,
        bias=per_channel(recipe.bias) if recipe.parameters in ("both", "bias") else None,
        running_mean=None if recipe.statistics == "absent" else _running_mean(recipe, rng, x).astype(parameter),
        running_var=None if recipe.statistics == "absent" else per_channel(_VARIANCES[recipe.statistics]),
        training=recipe.training,
        momentum=recipe.momentum,
        eps=recipe.eps,
        layout=recipe.layout,
        dy_layout=recipe.dy_layout,
        wanted=recipe.wanted,
        origin=recipe.describe(),
    )
    return case if recipe.cotangents == "absent" else replace(case, **_cotangents(recipe, case, rng))


def readable(values: Rows, *, precise: bool) -> Rows:
    """Round to quarters unless `precise`, so that a printed case reads well and survives copying."""
    return values if precise else np.round(values * 4) / 4


def _few_bits(values: Rows) -> Rows:
    """Round to six significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * 64) / 64, exponent))


def _x(recipe: Recipe, rng: np.random.Generator) -> AnyArray:
    dtype = DTYPES[recipe.dtype]
    if recipe.values == "digits":
        return from_channel_rows(digits(rng, recipe.shape), recipe.shape).astype(dtype)
    channels, n = recipe.channels, recipe.values_per_channel
    if recipe.values == "across_space":
        samples = recipe.shape[0]
        rows = across_space(rng, channels, samples, n // max(samples, 1))
    else:
        rows = REGIMES[recipe.values](rng, channels, n)
    rows = readable(rows, precise=recipe.precise)
    dead = recipe.values in ("constant", "one_dead")
    flat = np.ptp(rows, axis=1, keepdims=True) == 0 if n else np.zeros((channels, 1), bool)
    if not dead and n > 1:
        rows[flat[:, 0], 0] += 1.0  # rounding can make a short channel constant
    low, high = (_SPREADS | _OF_DTYPE.get(recipe.dtype, {}))[recipe.spread]
    sd = 2.0 ** np.round(np.log2(10.0) * rng.uniform(low, high, (channels, 1)))
    sign = rng.choice([-1.0, 1.0], (channels, 1))
    shift = readable(rng.uniform(0.5, 1.0, (channels, 1)), precise=recipe.precise)
    shift = np.where(flat, 0.0, shift) if recipe.values == "one_dead" else shift
    values = sd * (rows + sign * shift * recipe.ratio)
    # Inside the overflow guard: n (max|x| + |mean|)^2 stays below a quarter of the accumulator's largest number.
    squares = LARGEST["float32" if recipe.dtype == "float16" else recipe.dtype]
    limit = min(LARGEST[recipe.dtype] * 0.9, (squares / (16 * max(n, 1))) ** 0.5)
    peak = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    values = values * np.where(peak > limit, 2.0 ** -np.ceil(np.log2(np.maximum(peak, limit) / limit)), 1.0)
    return from_channel_rows(values, recipe.shape).astype(dtype)


def ratios(dtype: DtypeName) -> tuple[float, ...]:
    """Return useful values of |mean| / sd: beyond 1 / (30 u), rounding of x loses too much of its deviations."""
    return tuple(ratio for ratio in (1.0, 0.0, 10.0, 1e2, 1e4, 1e6) if ratio * UNIT_ROUNDOFF[dtype] * 30 <= 2)


def _dy(recipe: Recipe, rng: np.random.Generator) -> AnyArray | None:
    if recipe.dy == "absent":
        return None
    # The mean is never 0: dbias must be visible.
    rows = readable(rng.standard_normal(recipe.shape) + 0.5, precise=recipe.precise)
    match recipe.dy:
        case "zero":
            rows = np.zeros(recipe.shape)
        case "expanded":  # equal along axis 0, like the gradient of a sum over the batch
            rows = np.broadcast_to(rows[:1], recipe.shape)
        case "large":
            rows = rows * 2.0**10
        case "small":  # like the gradient of a mean over many samples
            rows = rows * (2.0**-10 if recipe.dtype == "float16" else 2.0**-30)
    return np.ascontiguousarray(rows).astype(DTYPES[recipe.dtype])


def _cotangents(recipe: Recipe, case: Case, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the requested ones of ddx, ddweight and ddbias whose parameter is present; none has mean 0."""
    like = {"ddx": case.x, "ddweight": case.weight, "ddbias": case.bias}
    return {
        name: readable(rng.standard_normal(array.shape) + 0.5, precise=recipe.precise).astype(array.dtype)
        for name, array in like.items()
        if array is not None and recipe.cotangents in ("all", name)
    }


def _random_weight(rng: np.random.Generator, channels: int, precise: bool) -> NDArray[Any]:
    """Draw weights between 1/2 and 2 with either sign: never 1, never 0."""
    return np.asarray(_away_from_one(rng.uniform(0.5, 2.0, channels), precise) * rng.choice([-1.0, 1.0], channels))


def _away_from_one(values: NDArray[Any], precise: bool) -> NDArray[Any]:
    values = readable(values, precise=precise)
    return np.asarray(np.where(values == 1.0, 1.5, values))


_PER_CHANNEL: dict[str, Callable[[np.random.Generator, int, bool], NDArray[Any]]] = {
    "random": _random_weight,
    "negative": lambda rng, c, precise: -_away_from_one(rng.uniform(0.5, 2.0, c), precise),
    "zero": lambda rng, c, precise: np.zeros(c),
    "tiny": lambda rng, c, precise: 2.0 ** -rng.integers(20, 30, c),
    "large": lambda rng, c, precise: readable(rng.uniform(-1.0, 1.0, c) * 1000, precise=precise),
    "one": lambda rng, c, precise: np.ones(c),
    "positive": lambda rng, c, precise: _away_from_one(rng.uniform(0.25, 4.0, c), precise),
    "huge": lambda rng, c, precise: 2.0 ** rng.integers(20, 60, c),
    "small": lambda rng, c, precise: 2.0 ** -rng.integers(20, 60, c),
}

# Kind of running statistics -> kind of the running variances.
_VARIANCES = {
    "random": "positive",
    "new": "one",
    "zero_variance": "zero",
    "small_variance": "small",
    "huge_variance": "huge",
    "large_mean": "positive",
}


def _running_mean(recipe: Recipe, rng: np.random.Generator, x: AnyArray) -> NDArray[Any]:
    if recipe.statistics == "new":
        return np.zeros(recipe.channels)
    if recipe.training or not x.size:
        mean = readable(rng.uniform(-2.0, 2.0, recipe.channels), precise=recipe.precise)
    else:  # in inference the statistics fit data like x
        axes = (0, *range(2, x.ndim))
        wide = x.astype(np.float64)
        mean = wide.mean(axis=axes) + wide.std(axis=axes) * rng.uniform(-1.0, 1.0, recipe.channels)
        mean = mean if recipe.precise else _few_bits(mean)
    return np.asarray(mean * 1e5 if recipe.statistics == "large_mean" else mean)
