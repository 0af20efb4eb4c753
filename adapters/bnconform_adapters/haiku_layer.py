"""Haiku's BatchNorm, channels last, as a function transformed with state.

Its statistics are exponential averages from 0, divided by the weight of the batches seen (``zero_debias``): the k-th
batch counts m / (1 - (1 - m)^k), which is 1 at first and m after long training. What the user sees, and inference
uses, is the state called `average`. A layer that is given statistics is one trained for long.

Half types are not claimed: parameters and statistics are of x's dtype there, and sums, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bnconform_adapters.contract import Claims
from bnconform_adapters.jax_arrays import MOMENTUM_MIN, TRAINED_FOR_LONG, JaxAdapter, Options, Program, State, compiled
from bnconform_reference.dialect import HAIKU

CLAIMS = Claims(
    dialect=HAIKU,
    dtypes=("float32", "float64"),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    shards=("equal",),
    devices=2,
    bitwise=False,  # vector loops and their tails round differently
    momentum_min=MOMENTUM_MIN,  # decay_rate is below 1
    default_eps=1e-5,
    default_momentum=None,  # decay_rate has to be given
    cost="compiles per shape",
)


def _begin(mean: Any, var: Any, new: bool) -> State:
    """`average` and `hidden` of mean and variance, and the number of batches seen."""
    import numpy as np

    if new:
        return mean, var, np.zeros_like(mean), np.zeros_like(var), np.int32(0)
    return mean, var, mean, var, np.int32(TRAINED_FOR_LONG)


@cache
def _program() -> Program:
    import haiku as hk

    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        def call(x: Any) -> Any:
            present = "weight" in parameters, "bias" in parameters
            layer = hk.BatchNorm(
                *present, 1 - options.momentum, options.eps, cross_replica_axis=options.axis_name, name="layer"
            )
            return layer(x, is_training=options.training)

        def shaped(vector: Any) -> Any:
            return vector.reshape((1,) * (x.ndim - 1) + vector.shape)

        names = {"weight": "scale", "bias": "offset"}
        given = {"layer": {names[name]: shaped(value) for name, value in parameters.items()}}
        *vectors, counter = state
        mean, var, hidden_mean, hidden_var = map(shaped, vectors)
        averages = {
            "layer/~/mean_ema": {"average": mean, "hidden": hidden_mean, "counter": counter},
            "layer/~/var_ema": {"average": var, "hidden": hidden_var, "counter": counter},
        }
        y, new = hk.transform_with_state(call).apply(given, averages, None, x)
        mean, var = new["layer/~/mean_ema"], new["layer/~/var_ema"]
        found = mean["average"], var["average"], mean["hidden"], var["hidden"]
        return y, (*(array.reshape(-1) for array in found), mean["counter"])

    return compiled(
        forward,
        _begin,
        variance=CLAIMS.dialect.initial_variance,
        synchronised=True,
    )


def haiku() -> JaxAdapter:
    """The adapter of haiku.BatchNorm."""
    return JaxAdapter("haiku", CLAIMS, _program)
