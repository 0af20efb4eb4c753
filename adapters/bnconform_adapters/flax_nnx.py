"""Flax nnx.BatchNorm, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bnconform_adapters.flax_linen import CLAIMS, HALF_TYPES
from bnconform_adapters.jax_arrays import JaxAdapter, Options, Program, State, compiled


@cache
def _program() -> Program:
    from flax import nnx

    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        module = nnx.BatchNorm(
            state[0].shape[0],
            use_running_average=not options.training,
            momentum=1 - options.momentum,
            epsilon=options.eps,
            dtype=x.dtype if x.dtype.name in HALF_TYPES else None,
            use_scale="weight" in parameters,
            use_bias="bias" in parameters,
            axis_name=options.axis_name,
            rngs=nnx.Rngs(0),
        )
        module.mean[...], module.var[...] = state
        names = {"weight": "scale", "bias": "bias"}
        for key, value in parameters.items():
            getattr(module, names[key])[...] = value
        y = module(x)
        return y, (module.mean[...], module.var[...])

    return compiled(forward, synchronised=True)


def nnx() -> JaxAdapter:
    """The adapter of flax.nnx.BatchNorm, whose statistics are float32 whatever param_dtype says."""
    return JaxAdapter("flax.nnx", replace(CLAIMS, dtypes=("float32", *HALF_TYPES)), _program)
