"""Flax nnx.BatchNorm, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from bnconform_adapters.flax_linen import CLAIMS, HALF_TYPES
from bnconform_adapters.jax_arrays import DEVICES, JaxAdapter, Program, State, compiled


@cache
def _program() -> Program:
    from flax import nnx

    def forward(
        parameters: Mapping[str, Any],
        x: Any,
        state: State,
        *,
        momentum: Any,
        eps: Any,
        training: bool,
        axis_name: str | None = None,
    ) -> tuple[Any, State]:
        module = nnx.BatchNorm(
            state[0].shape[0],
            use_running_average=not training,
            momentum=1 - momentum,
            epsilon=eps,
            dtype=x.dtype if x.dtype.name in HALF_TYPES else None,
            use_scale="weight" in parameters,
            use_bias="bias" in parameters,
            axis_name=axis_name,
            rngs=nnx.Rngs(0),
        )
        module.mean[...], module.var[...] = state
        names = {"weight": "scale", "bias": "bias"}
        for key, value in parameters.items():
            getattr(module, names[key])[...] = value
        y = module(x)
        return y, (module.mean[...], module.var[...])

    return compiled(forward, synchronised=partial(forward, axis_name=DEVICES))


def nnx() -> JaxAdapter:
    """The adapter of flax.nnx.BatchNorm, whose statistics are float32 whatever param_dtype says."""
    return JaxAdapter("flax.nnx", replace(CLAIMS, dtypes=("float32", *HALF_TYPES)), _program)
