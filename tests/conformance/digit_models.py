"""One small convolutional network in three frameworks, as their users write it: trained by SGD, then asked for logits.

What goes in and comes out has one form: kernels as (out, in, height, width), images as (N, 1, H, W).
Everything is float64, so that the frameworks' trainings stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = dict[str, np.ndarray]
Batches: TypeAlias = Sequence[tuple[np.ndarray, np.ndarray]]
CHANNELS, CLASSES, SIDE = 4, 10, 6
RATE = 0.2
STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Model:
    """A framework's network.

    Attributes
    ----------
    train : callable
        Of arrays, batches, and the layer's own eps and momentum: the arrays after a step for each batch.
    infer : callable
        Of arrays, images and eps: the logits.
    """

    train: Callable[[Arrays, Batches, float, float], Arrays]
    infer: Callable[[Arrays, np.ndarray, float], np.ndarray]


def new_arrays() -> Arrays:
    """A network before training."""
    rng = np.random.default_rng(3)
    return {
        "kernel": rng.standard_normal((CHANNELS, 1, 3, 3)) / 3,
        "weight": np.ones(CHANNELS),
        "bias": np.zeros(CHANNELS),
        "dense": rng.standard_normal((CLASSES, CHANNELS, SIDE, SIDE)) / 20,
        "dense_bias": np.zeros(CLASSES),
        "running_mean": np.zeros(CHANNELS),
        "running_var": np.ones(CHANNELS),
    }


def _channels_last(dense: np.ndarray) -> np.ndarray:
    """Weights of the last layer where images are flattened with their channels last, as (in, out)."""
    return dense.transpose(2, 3, 1, 0).reshape(-1, CLASSES)


def _channels_first(dense: np.ndarray) -> np.ndarray:
    """The reverse."""
    return dense.reshape(SIDE, SIDE, CHANNELS, CLASSES).transpose(3, 2, 0, 1)


def _torch_model(arrays: Arrays, eps: float, momentum: float) -> Any:
    import torch

    layers = torch.nn
    model = layers.Sequential(
        layers.Conv2d(1, CHANNELS, 3, bias=False),
        layers.BatchNorm2d(CHANNELS, eps=eps, momentum=momentum),
        layers.ReLU(),
        layers.Flatten(),
        layers.Linear(CHANNELS * SIDE * SIDE, CLASSES),
    ).double()
    flat = arrays | {"dense": arrays["dense"].reshape(CLASSES, -1)}
    state = {key: torch.from_numpy(flat[name].copy()) for key, name in _TORCH_NAMES.items()}
    model.load_state_dict(state | {"1.num_batches_tracked": torch.tensor(0)})
    return model


_TORCH_NAMES = {
    "0.weight": "kernel",
    "1.weight": "weight",
    "1.bias": "bias",
    "1.running_mean": "running_mean",
    "1.running_var": "running_var",
    "4.weight": "dense",
    "4.bias": "dense_bias",
}


def torch_train(arrays: Arrays, batches: Batches, eps: float, momentum: float) -> Arrays:
    """In torch."""
    import torch

    model = _torch_model(arrays, eps, momentum)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for images, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels)).backward()
        optimizer.step()
    state = model.state_dict()
    found = {name: state[key].numpy().copy() for key, name in _TORCH_NAMES.items()}
    return found | {"dense": found["dense"].reshape(CLASSES, CHANNELS, SIDE, SIDE)}


def torch_infer(arrays: Arrays, images: np.ndarray, eps: float) -> np.ndarray:
    """In torch."""
    import torch

    with torch.no_grad():
        return np.asarray(_torch_model(arrays, eps, 0.1).eval()(torch.from_numpy(images)).numpy())


def _flax_model(eps: float, momentum: float) -> Any:
    from flax import linen

    class Network(linen.Module):
        @linen.compact
        def __call__(self, x: Any, training: bool) -> Any:
            x = linen.Conv(CHANNELS, (3, 3), padding="VALID", use_bias=False, param_dtype=x.dtype)(x)
            x = linen.BatchNorm(not training, momentum=momentum, epsilon=eps, param_dtype=x.dtype)(x)
            return linen.Dense(CLASSES, param_dtype=x.dtype)(linen.relu(x).reshape(len(x), -1))

    return Network()


def _to_flax(arrays: Arrays) -> tuple[Any, Any]:
    parameters = {
        "Conv_0": {"kernel": arrays["kernel"].transpose(2, 3, 1, 0)},
        "BatchNorm_0": {"scale": arrays["weight"], "bias": arrays["bias"]},
        "Dense_0": {"kernel": _channels_last(arrays["dense"]), "bias": arrays["dense_bias"]},
    }
    return parameters, {"BatchNorm_0": {"mean": arrays["running_mean"], "var": arrays["running_var"]}}


def flax_train(arrays: Arrays, batches: Batches, eps: float, momentum: float) -> Arrays:
    """In Flax."""
    import jax

    with jax.enable_x64(True):
        model = _flax_model(eps, momentum)

        @jax.jit
        def step(parameters: Any, statistics: Any, images: Any, labels: Any) -> Any:
            def loss(parameters: Any) -> Any:
                variables = {"params": parameters, "batch_stats": statistics}
                logits, moved = model.apply(variables, images, True, mutable=["batch_stats"])
                chosen = jax.nn.log_softmax(logits)[jax.numpy.arange(len(labels)), labels]
                return -chosen.mean(), moved["batch_stats"]

            gradients, moved = jax.grad(loss, has_aux=True)(parameters)
            return jax.tree.map(lambda value, slope: value - RATE * slope, parameters, gradients), moved

        parameters, statistics = jax.tree.map(jax.numpy.asarray, _to_flax(arrays))
        for images, labels in batches:
            parameters, statistics = step(parameters, statistics, images.transpose(0, 2, 3, 1), labels)
    return {
        "kernel": np.asarray(parameters["Conv_0"]["kernel"]).transpose(3, 2, 0, 1),
        "weight": np.asarray(parameters["BatchNorm_0"]["scale"]),
        "bias": np.asarray(parameters["BatchNorm_0"]["bias"]),
        "dense": _channels_first(np.asarray(parameters["Dense_0"]["kernel"])),
        "dense_bias": np.asarray(parameters["Dense_0"]["bias"]),
        "running_mean": np.asarray(statistics["BatchNorm_0"]["mean"]),
        "running_var": np.asarray(statistics["BatchNorm_0"]["var"]),
    }


def flax_infer(arrays: Arrays, images: np.ndarray, eps: float) -> np.ndarray:
    """In Flax."""
    import jax

    with jax.enable_x64(True):
        parameters, statistics = jax.tree.map(jax.numpy.asarray, _to_flax(arrays))
        variables = {"params": parameters, "batch_stats": statistics}
        return np.asarray(_flax_model(eps, 0.9).apply(variables, images.transpose(0, 2, 3, 1), False))


def _keras_model(arrays: Arrays, eps: float, momentum: float) -> Any:
    import keras

    layers, given = keras.layers, {"dtype": "float64"}
    model = keras.Sequential(
        [
            layers.Conv2D(CHANNELS, 3, use_bias=False, **given),
            layers.BatchNormalization(epsilon=eps, momentum=momentum, **given),
            layers.ReLU(**given),
            layers.Flatten(**given),
            layers.Dense(CLASSES, **given),
        ]
    )
    model.build((None, 8, 8, 1))
    norm = [arrays[name] for name in ("weight", "bias", *STATISTICS)]
    model.set_weights(
        [arrays["kernel"].transpose(2, 3, 1, 0), *norm, _channels_last(arrays["dense"]), arrays["dense_bias"]]
    )
    return model


def keras_train(arrays: Arrays, batches: Batches, eps: float, momentum: float) -> Arrays:
    """In Keras on TensorFlow."""
    import tensorflow as tf

    model = _keras_model(arrays, eps, momentum)
    for images, labels in batches:
        with tf.GradientTape() as tape:
            logits = model(images.transpose(0, 2, 3, 1), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        variables = [variable.value for variable in model.trainable_variables]
        for variable, slope in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(RATE * slope)
    kernel, weight, bias, mean, var, dense, dense_bias = model.get_weights()
    return {
        "kernel": kernel.transpose(3, 2, 0, 1),
        "weight": weight,
        "bias": bias,
        "dense": _channels_first(dense),
        "dense_bias": dense_bias,
        "running_mean": mean,
        "running_var": var,
    }


def keras_infer(arrays: Arrays, images: np.ndarray, eps: float) -> np.ndarray:
    """In Keras on TensorFlow."""
    return np.asarray(_keras_model(arrays, eps, 0.9)(images.transpose(0, 2, 3, 1), training=False))


MODELS = {
    "torch": Model(torch_train, torch_infer),
    "flax.linen": Model(flax_train, flax_infer),
    "keras.tensorflow": Model(keras_train, keras_infer),
}
"""By the name of the batch norm inside, as `--adapter` takes it."""
