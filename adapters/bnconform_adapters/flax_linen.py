"""Flax linen.BatchNorm, as users call it: channels last, statistics in the `batch_stats` collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from bnconform_adapters.contract import Claims
from bnconform_adapters.jax_arrays import JaxAdapter, Options, Program, State, compiled
from bnconform_reference.dialect import FLAX
from bnconform_reference.precision import DtypeName

HALF_TYPES: tuple[DtypeName, DtypeName] = ("float16", "bfloat16")

CLAIMS = Claims(
    dialect=FLAX,
    dtypes=("float32", "float64", *HALF_TYPES),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    shards=("equal",),
    devices=2,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.99,
    cost="compiles per shape",
)


@cache
def _program(fast_variance: bool) -> Program:
    from flax import linen

    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        module = linen.BatchNorm(
            use_running_average=not options.training,
            momentum=1 - options.momentum,
            epsilon=options.eps,
            dtype=x.dtype if x.dtype.name in HALF_TYPES else None,
            use_scale="weight" in parameters,
            use_bias="bias" in parameters,
            use_fast_variance=fast_variance,
            axis_name=options.axis_name,
        )
        names = {"weight": "scale", "bias": "bias"}
        variables = {
            "params": {names[key]: value for key, value in parameters.items()},
            "batch_stats": {"mean": state[0], "var": state[1]},
        }
        y, updated = module.apply(variables, x, mutable=["batch_stats"])
        return y, (updated["batch_stats"]["mean"], updated["batch_stats"]["var"])

    return compiled(forward, synchronised=True)


def linen() -> JaxAdapter:
    """The adapter of flax.linen.BatchNorm with its default, fast variance."""
    return JaxAdapter("flax.linen", CLAIMS, partial(_program, True))


def slow() -> JaxAdapter:
    """The adapter of flax.linen.BatchNorm with ``use_fast_variance=False``: two passes over the data."""
    return JaxAdapter("flax.linen.slow", replace(CLAIMS, grade="NT"), partial(_program, False))
