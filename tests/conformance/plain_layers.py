"""One training step in each framework's own words: no adapter, no suite. Channels last, as (n, channels)."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
from plain_jax_layers import equinox_defaults, equinox_step, haiku_defaults, haiku_step
from plain_step import Plain, Step, quietly
from plain_tensorflow_functions import (
    compiled_defaults,
    compiled_step,
    fused_defaults,
    fused_step,
    moments_defaults,
    moments_step,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HALF = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


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


def linen_step(x: np.ndarray, momentum: float, parameters: str = "both", **settings: bool) -> Step:
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
            **settings,
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

    layer = keras.layers.BatchNormalization(
        momentum=momentum,
        scale=parameters in ("both", "weight"),
        center=parameters in ("both", "bias"),
        dtype=HALF.get(x.dtype.name, x.dtype.name),
    )
    if keras.backend.backend() != "jax":
        y = layer(keras.ops.convert_to_tensor(x), training=True)
        return Step(*map(keras.ops.convert_to_numpy, (y, layer.moving_mean, layer.moving_variance)))
    import jax

    with jax.enable_x64(x.dtype == np.float64):
        y = layer(jax.numpy.asarray(x), training=True)
        return Step(*map(np.asarray, (y, layer.moving_mean.value, layer.moving_variance.value)))


def tf_keras_defaults() -> tuple[float, float]:
    import tf_keras

    layer = tf_keras.layers.BatchNormalization()
    return layer.epsilon, layer.momentum


def tf_keras_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import tf_keras

    layer = tf_keras.layers.BatchNormalization(
        momentum=momentum,
        scale=parameters in ("both", "weight"),
        center=parameters in ("both", "bias"),
        dtype=HALF.get(x.dtype.name, x.dtype.name),
    )
    y = layer(x, training=True)
    return Step(*(tensor.numpy() for tensor in (y, layer.moving_mean, layer.moving_variance)))


PLAIN = tuple(
    Plain(name, quietly(defaults), quietly(step))
    for name, defaults, step in (
        ("torch", torch_defaults, torch_step),
        ("torch.functional", functional_defaults, functional_step),
        ("flax.linen", linen_defaults, linen_step),
        ("flax.linen.slow", linen_defaults, partial(linen_step, use_fast_variance=False)),
        ("flax.nnx", nnx_defaults, nnx_step),
        ("haiku", haiku_defaults, haiku_step),
        ("equinox.batch", equinox_defaults, equinox_step),
        ("equinox.ema", equinox_defaults, equinox_step),
        ("keras.tensorflow", keras_defaults, keras_step),
        ("keras.jax", keras_defaults, keras_step),
        ("keras.torch", keras_defaults, keras_step),
        ("tf_keras", tf_keras_defaults, tf_keras_step),
        ("tf.fused", fused_defaults, fused_step),
        ("tf.fused.xla", compiled_defaults, partial(compiled_step, xla=True)),
        ("tf.function", compiled_defaults, partial(compiled_step, xla=False)),
        ("tf.moments", moments_defaults, moments_step),
    )
)
