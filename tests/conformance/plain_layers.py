"""One training step in each framework's own words: no adapter, no suite. Channels last, as (n, channels)."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HALF = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


@dataclass(frozen=True)
class Step:
    """What one training step gave; parameters are at their initial values."""

    y: np.ndarray
    mean: np.ndarray
    var: np.ndarray


@dataclass(frozen=True)
class Plain:
    """A framework's layer: its defaults, and one training step on x (n, C) with given momentum and affine parts.

    What does not train has `infer` instead: inference on x with given affine parts and initial statistics.
    """

    name: str
    defaults: Callable[[], tuple[float | None, float | None]]
    step: Callable[..., Step] | None
    infer: Callable[..., np.ndarray] | None = None


def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The frameworks' warnings are not what is tested."""

    def call(*arguments: Any, **named: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **named)

    return call


def _torch(x: np.ndarray) -> Any:
    import torch

    return torch.tensor(x.astype(np.float64)).to(getattr(torch, x.dtype.name))


def _numpy(tensor: Any) -> np.ndarray:
    name = str(tensor.dtype).removeprefix("torch.")
    return tensor.detach().double().numpy().astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def torch_defaults() -> tuple[float, float]:
    import torch

    layer = torch.nn.BatchNorm1d(2)
    return layer.eps, layer.momentum


def torch_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import torch

    affine = {"both": True, "neither": False}[parameters]
    dtype = torch.float64 if x.dtype == np.float64 else torch.float32
    layer = torch.nn.BatchNorm1d(x.shape[1], momentum=momentum, affine=affine, dtype=dtype)
    y = layer(_torch(x))
    return Step(_numpy(y), _numpy(layer.running_mean), _numpy(layer.running_var))


def functional_defaults() -> tuple[float, float]:
    import torch

    parameters = inspect.signature(torch.nn.functional.batch_norm).parameters
    return parameters["eps"].default, parameters["momentum"].default


def functional_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import torch

    dtype, channels = torch.float64 if x.dtype == np.float64 else torch.float32, x.shape[1]
    mean, var = torch.zeros(channels, dtype=dtype), torch.ones(channels, dtype=dtype)
    weight = torch.ones(channels, dtype=dtype) if parameters in ("both", "weight") else None
    bias = torch.zeros(channels, dtype=dtype) if parameters in ("both", "bias") else None
    y = torch.nn.functional.batch_norm(_torch(x), mean, var, weight, bias, training=True, momentum=momentum)
    return Step(_numpy(y), _numpy(mean), _numpy(var))


def linen_defaults() -> tuple[float, float]:
    from flax import linen

    layer = linen.BatchNorm(use_running_average=False)
    return layer.epsilon, layer.momentum


def _flax_dtype(x: np.ndarray) -> Any:
    return x.dtype if x.dtype.name in HALF else None


def linen_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import jax
    from flax import linen

    with jax.enable_x64(x.dtype == np.float64):
        layer = linen.BatchNorm(
            use_running_average=False,
            momentum=momentum,
            use_scale=parameters in ("both", "weight"),
            use_bias=parameters in ("both", "bias"),
            dtype=_flax_dtype(x),
            param_dtype=np.float64 if x.dtype == np.float64 else np.float32,
        )
        variables = layer.init(jax.random.key(0), jax.numpy.ones((2, x.shape[1]), x.dtype))
        y, new = layer.apply(variables, jax.numpy.asarray(x), mutable=["batch_stats"])
        return Step(*map(np.asarray, (y, new["batch_stats"]["mean"], new["batch_stats"]["var"])))


def nnx_defaults() -> tuple[float, float]:
    from flax import nnx

    layer = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    return layer.epsilon, layer.momentum


def nnx_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import jax
    from flax import nnx

    with jax.enable_x64(x.dtype == np.float64):
        layer = nnx.BatchNorm(
            x.shape[1],
            momentum=momentum,
            use_scale=parameters in ("both", "weight"),
            use_bias=parameters in ("both", "bias"),
            dtype=_flax_dtype(x),
            param_dtype=np.float64 if x.dtype == np.float64 else np.float32,
            rngs=nnx.Rngs(0),
        )
        y = layer(jax.numpy.asarray(x))
        return Step(*map(np.asarray, (y, layer.mean[...], layer.var[...])))


def keras_defaults() -> tuple[float, float]:
    import keras

    layer = keras.layers.BatchNormalization()
    return layer.epsilon, layer.momentum


def keras_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import keras
    import tensorflow as tf

    layer = keras.layers.BatchNormalization(
        momentum=momentum,
        scale=parameters in ("both", "weight"),
        center=parameters in ("both", "bias"),
        dtype=HALF.get(x.dtype.name, x.dtype.name),
    )
    y = layer(tf.constant(x), training=True)
    return Step(*map(np.array, (y, layer.moving_mean, layer.moving_variance)))


def fused_defaults() -> tuple[float, float]:
    import tensorflow as tf

    parameters = inspect.signature(tf.compat.v1.nn.fused_batch_norm).parameters
    return parameters["epsilon"].default, parameters["exponential_avg_factor"].default


def fused_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import tensorflow as tf

    channels = x.shape[1]
    scale = tf.ones(channels) if parameters in ("both", "weight") else None
    offset = tf.zeros(channels) if parameters in ("both", "bias") else None
    y, mean, var = tf.compat.v1.nn.fused_batch_norm(
        tf.constant(x.reshape(-1, 1, 1, channels)),
        scale,
        offset,
        mean=tf.zeros(channels),
        variance=tf.ones(channels),
        exponential_avg_factor=momentum,
    )
    return Step(np.array(y).reshape(-1, channels), np.array(mean), np.array(var))


PLAIN = tuple(
    Plain(name, quietly(defaults), quietly(step))
    for name, defaults, step in (
        ("torch", torch_defaults, torch_step),
        ("torch.functional", functional_defaults, functional_step),
        ("flax.linen", linen_defaults, linen_step),
        ("flax.nnx", nnx_defaults, nnx_step),
        ("keras.tensorflow", keras_defaults, keras_step),
        ("tf.fused", fused_defaults, fused_step),
    )
)
