"""One training step by TensorFlow's functions, channels last, as (n, channels)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from plain_step import Step


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


def compiled_defaults() -> tuple[float, None]:
    return fused_defaults()[0], None  # the moving average is the caller's


def compiled_step(x: np.ndarray, momentum: float, parameters: str = "both", *, xla: bool) -> Step:
    import tensorflow as tf

    channels = x.shape[1]
    scale = tf.ones(channels) if parameters in ("both", "weight") else None
    offset = tf.zeros(channels) if parameters in ("both", "bias") else None

    @tf.function(jit_compile=xla)
    def step(x: Any) -> Any:
        y, mean, var = tf.compat.v1.nn.fused_batch_norm(x, scale, offset)
        return y, momentum * mean, (1 - momentum) * tf.ones(channels) + momentum * var

    y, mean, var = step(tf.constant(x.reshape(-1, 1, 1, channels)))
    return Step(np.array(y).reshape(-1, channels), np.array(mean), np.array(var))


def moments_defaults() -> tuple[None, None]:
    import tensorflow as tf

    assert (
        inspect.signature(tf.nn.batch_normalization).parameters["variance_epsilon"].default is inspect.Parameter.empty
    )
    return None, None  # the moving average is the caller's


def moments_step(x: np.ndarray, momentum: float, parameters: str = "both") -> Step:
    import tensorflow as tf

    dtype, channels = tf.float64 if x.dtype == np.float64 else tf.float32, x.shape[1]
    scale = tf.ones(channels, dtype) if parameters in ("both", "weight") else None
    offset = tf.zeros(channels, dtype) if parameters in ("both", "bias") else None
    mean, var = tf.nn.moments(tf.constant(x), [0])
    y = tf.nn.batch_normalization(tf.constant(x), mean, var, offset, scale, 1e-3)
    return Step(*map(np.array, (y, momentum * mean, (1 - momentum) * tf.ones(channels, dtype) + momentum * var)))
