"""Fixed cases, equal for all implementations, for figures and comparisons: a kind and a place identify each.

Laws draw their cases; fixed cases have a written recipe, so that anybody can build one again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.claims import Claims, Layout, Parameters
from bnconform_adapters.contract import DTYPES, Case, parameter_dtype
from bnconform_reference.channel_axes import from_channel_rows
from bnconform_reference.precision import DtypeName

Kind: TypeAlias = Literal["conditioning", "length", "drift"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHANNELS = 3
"""Number of channels of every fixed case and every probe: one number saves compilations."""
LENGTH = 16
"""Values per channel of the conditioning and drift cases."""
OFFSET = 3.0
"""|mean| / sd of the length and drift cases."""
AXES = {"conditioning": "|mean|/sd", "length": "values per channel", "drift": "training steps"}
"""Meaning of the place for each kind."""


@dataclass(frozen=True)
class Handed:
    """Settings of the fixed cases for one implementation: the most usual ones that it accepts.

    Attributes
    ----------
    dtype : str
        float32 if claimed, else the first claimed dtype.
    rank : int
        Rank of x; the lowest claimed.
    parameters : str
        "both" if claimed, else the first claimed choice.
    gradients : bool
        Whether training includes a backward pass.
    eps, momentum : float
        momentum is the weight of the new batch.
    initial_mean, initial_variance : float
        Statistics before the first step of drift.
    layout : str
        Memory layout of x and dy: contiguous if claimed.
    """

    dtype: DtypeName
    rank: int
    parameters: Parameters
    gradients: bool
    eps: float
    momentum: float
    initial_mean: float
    initial_variance: float
    layout: Layout = "contiguous"

    @classmethod
    def to(cls, claims: Claims) -> Handed:
        """Choose the settings for an implementation with these claims."""
        momentum = claims.usable_momenta((0.1,))[0]
        return cls(
            dtype="float32" if "float32" in claims.dtypes else claims.dtypes[0],
            rank=min(claims.ranks),
            parameters="both" if "both" in claims.parameters else claims.parameters[0],
            gradients="training" in claims.gradients,
            eps=claims.usable_eps((1e-5, 1e-3, 1.0))[0],
            momentum=0.1 if momentum is None else momentum,
            initial_mean=claims.dialect.initial_mean,
            initial_variance=claims.dialect.initial_variance,
            layout=claims.plain_layout(min(claims.ranks)),
        )


def fixed_case(kind: Kind, at: float, handed: Handed) -> tuple[Case, ...]:
    """Build the case of a kind and a place: one call, or for drift the steps of one layer.

    Parameters
    ----------
    kind : str
    at : float
        |mean| / sd, values per channel, or number of steps.
    handed : Handed
    """
    return _MADE[kind](at, handed)


def _single(n: int, ratio: float, handed: Handed) -> Case:
    """Build a single call, with numbers that depend only on the length and the ratio."""
    random = np.random.default_rng([n, int(ratio)])
    rows = random.standard_normal((CHANNELS, n)) + ratio
    weight, bias = random.uniform(0.5, 2.0, CHANNELS), random.uniform(-1.0, 1.0, CHANNELS)
    dy = random.standard_normal((CHANNELS, n))
    size = f"({CHANNELS}, {n})"
    origin = (
        f"default_rng([{n}, {int(ratio)}]): x standard_normal({size}) + {ratio:g}, a channel a row, "
        f"weight uniform(0.5, 2, {CHANNELS}), bias uniform(-1, 1, {CHANNELS}), dy standard_normal({size})"
    )
    case = _case(rows, handed, weight, bias, 0.0, 1.0, origin)
    if not handed.gradients:
        return case
    return replace(case, dy=from_channel_rows(dy, case.x.shape).astype(DTYPES[handed.dtype]))


def _drift(at: float, handed: Handed) -> tuple[Case, ...]:
    """Build a new layer's first steps; fewer steps are the beginning of more steps."""
    random = np.random.default_rng([LENGTH, int(OFFSET)])
    batch = f"standard_normal(({CHANNELS}, {LENGTH})) + {OFFSET:g}, a channel a row"
    origin = f"default_rng([{LENGTH}, {int(OFFSET)}]): {at:g} batch{'es' if at > 1 else ''} of {batch}"
    start = (np.ones(CHANNELS), np.zeros(CHANNELS), handed.initial_mean, handed.initial_variance, origin)
    steps = [_case(random.standard_normal((CHANNELS, LENGTH)) + OFFSET, handed, *start) for _ in range(int(at))]
    return (replace(steps[0], before="reset"), *steps[1:])


_MADE: dict[Kind, Callable[[float, Handed], tuple[Case, ...]]] = {
    "conditioning": lambda at, handed: (_single(LENGTH, at, handed),),
    "length": lambda at, handed: (_single(int(at), OFFSET, handed),),
    "drift": _drift,
}


def _case(
    rows: NDArray[Any], handed: Handed, weight: NDArray[Any], bias: NDArray[Any], mean: float, var: float, origin: str
) -> Case:
    wide = DTYPES[parameter_dtype(handed.dtype)]
    shape = (rows.shape[1], CHANNELS) + (1,) * (handed.rank - 2)
    return Case(
        x=from_channel_rows(rows, shape).astype(DTYPES[handed.dtype]),
        weight=weight.astype(wide) if handed.parameters in ("both", "weight") else None,
        bias=bias.astype(wide) if handed.parameters in ("both", "bias") else None,
        running_mean=np.full(CHANNELS, mean, wide),
        running_var=np.full(CHANNELS, var, wide),
        momentum=handed.momentum,
        eps=handed.eps,
        layout=handed.layout,
        dy_layout=handed.layout,
        origin=origin,
    )
