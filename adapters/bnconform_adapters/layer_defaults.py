"""What a framework's own layer does when it is told nothing but the number of channels: read from it where it runs.

Adapters give eps, momentum and statistics in every call, so nothing of this shows in their outputs. Here the layer is
made as its user would make it, asked for what it holds, and called once to see which axis it takes for the channels.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.calls import quiet
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.registry import Entry

SIZE = 4
"""Of every axis of the probe, so that any may be the channels'."""
TIME_LIMIT = 180.0
"""Seconds for a process that imports a framework on a machine with much else to do."""


@dataclass(frozen=True)
class LayerDefaults:
    """What was read.

    Attributes
    ----------
    made : str
        How the layer or the function was had.
    eps, momentum : float or None
        momentum in the layer's own sense; None where it has to be given.
    mean, variance : float or None
        Running statistics of a new layer; None where the caller keeps them.
    axis : str
        Of the channels, in a batch with axes on both sides of axis 1; empty where it was not to be seen.
    """

    made: str
    eps: float | None = None
    momentum: float | None = None
    mean: float | None = None
    variance: float | None = None
    axis: str = ""


def layer_defaults(entry: Entry) -> LayerDefaults | None:
    """The defaults of a bundled implementation; None where it has no layer of its own, or cannot be asked.

    What needs a process of its own is asked there. A framework may raise anything, and warn of anything: that must not
    end a run.
    """
    if entry.name not in READ:
        return None
    if entry.environment is None:
        try:
            with quiet():
                return READ[entry.name]()
        except Exception:
            return None
    command = [sys.executable, "-W", "ignore", "-m", "bnconform_adapters.layer_defaults", entry.name]
    variables = {**os.environ, **dict(entry.environment)}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, check=True)
        return LayerDefaults(**json.loads(done.stdout.splitlines()[-1]))
    except (OSError, ValueError, IndexError, TypeError, subprocess.SubprocessError):
        return None


def _with_axis(found: LayerDefaults, train: Callable[[NDArray[Any]], Any], rank: int = 3) -> LayerDefaults:
    """The same with the axis along which each slice of y has mean 0 and variance 1."""
    x = (np.random.default_rng(0).standard_normal((SIZE,) * rank) * 3 + 5).astype(np.float32)
    x += np.arange(SIZE, dtype=np.float32).reshape(-1, *(1,) * (rank - 1))  # no two axes look alike
    y = np.asarray(train(x), np.float64)
    seen = [axis for axis in range(rank) if _normalized(np.moveaxis(y, axis, 0).reshape(SIZE, -1))]
    if len(seen) != 1:
        return found
    axis = seen[0]
    return replace(found, axis="the last" if axis == rank - 1 else f"axis {axis}")


def _normalized(slices: NDArray[Any]) -> bool:
    return bool(np.allclose(slices.mean(axis=1), 0, atol=1e-3) and np.allclose(slices.var(axis=1), 1, atol=1e-2))


def _default(function: Any, name: str) -> float | None:
    """The default of an argument; None where it has to be given."""
    value = inspect.signature(function).parameters[name].default
    return None if value is inspect.Parameter.empty else float(value)


def _reference() -> LayerDefaults:
    from bnconform_reference import BatchNorm

    layer = BatchNorm()
    found = LayerDefaults("bnconform_reference.BatchNorm()", layer.eps, layer.momentum, 0.0, 1.0)
    return _with_axis(found, layer)


def _of_torch(name: str, layer: Any) -> LayerDefaults:
    import torch

    mean, variance = (layer.running_mean[0].item(), layer.running_var[0].item())
    found = LayerDefaults(name, layer.eps, layer.momentum, mean, variance)
    return _with_axis(found, lambda x: layer(torch.from_numpy(x)).detach().numpy())


def _torch() -> LayerDefaults:
    torch = import_framework("torch")
    return _of_torch(f"torch.nn.BatchNorm1d({SIZE})", torch.nn.BatchNorm1d(SIZE))


def _torch_function() -> LayerDefaults:
    torch = import_framework("torch")
    function = torch.nn.functional.batch_norm
    found = LayerDefaults("torch.nn.functional.batch_norm", _default(function, "eps"), _default(function, "momentum"))
    return _with_axis(found, lambda x: function(torch.from_numpy(x), None, None, training=True).numpy())


def _fused_triton() -> LayerDefaults:
    from bnconform_adapters.fused_triton import FusedBatchNorm

    layer = FusedBatchNorm(SIZE)
    mean, variance = (layer.running_mean[0].item(), layer.running_var[0].item())
    return LayerDefaults(f"FusedBatchNorm({SIZE})", layer.eps, layer.momentum, mean, variance, "axis 1")


def _linen() -> LayerDefaults:
    jax = import_framework("jax")
    linen = import_framework("flax.linen")
    layer = linen.BatchNorm(use_running_average=False)
    state = layer.init(jax.random.key(0), jax.numpy.zeros((SIZE, SIZE)))
    mean, variance = (float(state["batch_stats"][name][0]) for name in ("mean", "var"))
    found = LayerDefaults("flax.linen.BatchNorm()", layer.epsilon, layer.momentum, mean, variance)
    return _with_axis(found, lambda x: layer.apply(state, x, mutable=["batch_stats"])[0])


def _nnx() -> LayerDefaults:
    nnx = import_framework("flax.nnx")
    layer = nnx.BatchNorm(SIZE, rngs=nnx.Rngs(0))
    mean, variance = (float(getattr(layer, name)[...][0]) for name in ("mean", "var"))
    found = LayerDefaults(f"flax.nnx.BatchNorm({SIZE})", layer.epsilon, layer.momentum, mean, variance)
    return _with_axis(found, layer)


def _haiku() -> LayerDefaults:
    haiku, jax = import_framework("haiku"), import_framework("jax")
    layer = haiku.transform_with_state(lambda x: haiku.BatchNorm(True, True, 0.9)(x, True))
    variables, state = layer.init(None, jax.numpy.zeros((SIZE,) * 3))
    mean, variance = (float(state[f"batch_norm/~/{name}_ema"]["average"].ravel()[0]) for name in ("mean", "var"))
    made = "haiku.BatchNorm(True, True, decay_rate)"
    eps, momentum = _default(haiku.BatchNorm, "eps"), _default(haiku.BatchNorm, "decay_rate")
    found = LayerDefaults(made, eps, momentum, mean, variance)
    return _with_axis(found, lambda x: layer.apply(variables, state, None, jax.numpy.asarray(x))[0])


def _equinox(mode: str) -> LayerDefaults:
    equinox, jax = import_framework("equinox"), import_framework("jax")
    layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(SIZE, "batch", mode=mode)
    index = layer.batch_state_index if mode == "batch" else layer.ema_state_index
    mean, variance = (float(one[0]) for one in state.get(index))
    made = f'equinox.nn.BatchNorm({SIZE}, "batch", mode="{mode}")'
    found = LayerDefaults(made, layer.eps, layer.momentum, mean, variance)
    call = jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    return _with_axis(found, lambda x: call(jax.numpy.asarray(x), state)[0])


def _keras() -> LayerDefaults:
    keras = import_framework("keras")
    layer = keras.layers.BatchNormalization()
    layer.build((None, SIZE, SIZE))
    variables = (layer.moving_mean, layer.moving_variance)
    mean, variance = (float(keras.ops.convert_to_numpy(one)[0]) for one in variables)
    found = LayerDefaults("keras.layers.BatchNormalization()", layer.epsilon, layer.momentum, mean, variance)
    return _with_axis(found, lambda x: keras.ops.convert_to_numpy(layer(x, training=True)))


def _tensorflow_fused() -> LayerDefaults:
    tf = import_framework("tensorflow")
    function = tf.compat.v1.nn.fused_batch_norm
    eps, momentum = _default(function, "epsilon"), _default(function, "exponential_avg_factor")
    found = LayerDefaults("tf.compat.v1.nn.fused_batch_norm", eps, momentum)
    return _with_axis(found, lambda x: function(x, tf.ones(SIZE), tf.zeros(SIZE))[0].numpy(), rank=4)


def _tensorflow_moments() -> LayerDefaults:
    tf = import_framework("tensorflow")
    function = tf.nn.batch_normalization
    return LayerDefaults("tf.nn.moments and tf.nn.batch_normalization", _default(function, "variance_epsilon"))


def _onnx(opset: int) -> LayerDefaults:
    onnx = import_framework("onnx")
    attributes = onnx.defs.get_schema("BatchNormalization", opset).attributes
    eps, momentum = (float(f"{attributes[name].default_value.f:.6g}") for name in ("epsilon", "momentum"))
    found = LayerDefaults(f"ONNX's BatchNormalization of opset {opset}", eps, momentum)
    if "training_mode" not in attributes:
        return found
    names, outputs = ["x", "scale", "B", "mean", "var"], ["y", "new_mean", "new_var"]
    helper = onnx.helper
    node = helper.make_node("BatchNormalization", names, outputs, training_mode=1)

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)

    graph = helper.make_graph([node], "one", list(map(value, names)), list(map(value, outputs)))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    evaluator = import_framework("onnx.reference").ReferenceEvaluator(model)
    ones, zeros = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)
    return _with_axis(
        found, lambda x: evaluator.run(None, dict(zip(names, (x, ones, zeros, zeros, ones), strict=True)))[0]
    )


def _paddle() -> LayerDefaults:
    paddle = import_framework("paddle")
    layer = paddle.nn.BatchNorm1D(SIZE)
    init = paddle.nn.BatchNorm1D.__init__
    mean, variance = (float(one.numpy()[0]) for one in (layer._mean, layer._variance))
    eps, momentum = _default(init, "epsilon"), _default(init, "momentum")
    found = LayerDefaults(f"paddle.nn.BatchNorm1D({SIZE})", eps, momentum, mean, variance)
    return _with_axis(found, lambda x: layer(paddle.to_tensor(x)).numpy())


def _mlx() -> LayerDefaults:
    mx, nn = import_framework("mlx.core"), import_framework("mlx.nn")
    layer = nn.BatchNorm(SIZE)
    mean, variance = (float(one[0].item()) for one in (layer.running_mean, layer.running_var))
    found = LayerDefaults(f"mlx.nn.BatchNorm({SIZE})", layer.eps, layer.momentum, mean, variance)
    return _with_axis(found, lambda x: np.array(layer(mx.array(x))))


def _relax() -> LayerDefaults:
    import_framework("tvm")
    function = import_framework("tvm.relax").op.nn.batch_norm
    return LayerDefaults("relax.op.nn.batch_norm", _default(function, "epsilon"), _default(function, "momentum"))


def _tinygrad() -> LayerDefaults:
    tinygrad = import_framework("tinygrad")
    layer = tinygrad.nn.BatchNorm(SIZE)
    mean, variance = (float(one.numpy()[0]) for one in (layer.running_mean, layer.running_var))
    found = LayerDefaults(f"tinygrad.nn.BatchNorm({SIZE})", layer.eps, layer.momentum, mean, variance)

    def train(x: NDArray[Any]) -> Any:
        with tinygrad.Context(TRAINING=1):
            return layer(tinygrad.Tensor(x)).numpy()

    return _with_axis(found, train)


READ: dict[str, Callable[[], LayerDefaults]] = {
    "reference": _reference,
    **dict.fromkeys(("torch", "torch.channels_last", "torch.autocast", "torch.onnx"), _torch),
    **dict.fromkeys(
        ("torch.functional", "torch.native", "torch.decomp", "torch.vmap", "torch.compile"), _torch_function
    ),
    "fused_triton": _fused_triton,
    **dict.fromkeys(("flax.linen", "flax.linen.slow"), _linen),
    "flax.nnx": _nnx,
    "haiku": _haiku,
    "equinox.batch": lambda: _equinox("batch"),
    "equinox.ema": lambda: _equinox("ema"),
    **dict.fromkeys(("keras.tensorflow", "keras.jax", "keras.torch"), _keras),
    "tf.fused": _tensorflow_fused,
    **dict.fromkeys(("tf.fused.xla", "tf.function"), lambda: replace(_tensorflow_fused(), momentum=None)),
    "tf.moments": _tensorflow_moments,
    "onnx.reference.9": lambda: _onnx(9),
    "onnx.reference.14": lambda: _onnx(14),
    **dict.fromkeys(("onnx.reference.15", "onnxruntime", "onnxruntime.exported"), lambda: _onnx(15)),
    "paddle": _paddle,
    "mlx": _mlx,
    "tvm.relax": _relax,
    "tinygrad": _tinygrad,
}
"""By the registry's names; those that call one layer or function share its defaults. In a compiled program of
TensorFlow the moving average is the caller's."""

if __name__ == "__main__":
    print(json.dumps(asdict(READ[sys.argv[1]]())))
