"""keras.layers.BatchNormalization on the JAX backend, channels last, by ``stateless_call`` in a compiled step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bnconform_adapters.jax_arrays import JaxAdapter, Options, Program, State, compiled
from bnconform_adapters.keras_layer import CLAIMS, new_layer, on_backend


@cache
def _program() -> Program:
    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        layer = new_layer(x.dtype.name, parameters)
        layer.momentum, layer.epsilon = 1 - options.momentum, options.eps  # the constructor takes no tracers
        layer.build(x.shape)
        trainable = [parameters[name] for name in ("weight", "bias") if name in parameters]
        y, (mean, var) = layer.stateless_call(trainable, list(state), x, training=options.training)
        return y, (mean, var)

    return compiled(forward)


def jax() -> JaxAdapter:
    """The adapter of keras.layers.BatchNormalization under JAX."""
    on_backend("jax")
    return JaxAdapter("keras.jax", replace(CLAIMS, shards=(), cost="compiles per shape"), _program)
