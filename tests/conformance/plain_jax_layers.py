"""One training step of Haiku's and Equinox's layers, channels last, as (n, channels)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from plain_step import Step


def haiku_defaults() -> tuple[float, None]:
    import haiku

    parameters = inspect.signature(haiku.BatchNorm).parameters
    assert parameters["decay_rate"].default is inspect.Parameter.empty
    return parameters["eps"].default, None


def haiku_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import haiku
    import jax

    def call(x: Any) -> Any:
        return haiku.BatchNorm(parameters in ("both", "weight"), parameters in ("both", "bias"), momentum)(x, True)

    with jax.enable_x64(x.dtype == np.float64):
        layer = haiku.transform_with_state(call)
        variables, state = layer.init(None, jax.numpy.zeros((2, x.shape[1]), x.dtype))
        y, state = layer.apply(variables, state, None, jax.numpy.asarray(x))
        mean, var = (state[f"batch_norm/~/{name}_ema"]["average"].reshape(-1) for name in ("mean", "var"))
        return Step(*map(np.asarray, (y, mean, var)))


def equinox_defaults() -> tuple[float, float]:
    import equinox

    layer = equinox.nn.BatchNorm(2, "batch")
    return layer.eps, layer.momentum


def equinox_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    """The statistics are what inference makes of the stored ones."""
    import equinox
    import jax

    affine = {"both": True, "neither": False}[parameters]
    dtype = np.float64 if x.dtype == np.float64 else np.float32

    def call(x: Any, state: Any, inference: bool) -> Any:
        def one(x: Any, state: Any) -> Any:
            return layer(x, state, inference=inference)

        return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)

    with jax.enable_x64(x.dtype == np.float64):
        layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
            x.shape[1], "batch", channelwise_affine=affine, momentum=momentum, dtype=dtype, mode="batch"
        )
        y, state = call(jax.numpy.asarray(x), state, False)
        counter, stored = state.get(layer.batch_counter), state.get(layer.batch_state_index)
        scale = 1 - momentum**counter
        return Step(np.asarray(y), *(np.asarray(array / scale) for array in stored))
