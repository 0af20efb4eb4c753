"""The table of Keras' layer on each backend; nothing here imports a framework."""

from __future__ import annotations

from dataclasses import replace

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import KERAS

_TENSORFLOW = (("keras", "keras"), ("tensorflow", "tensorflow-cpu"))
_JAX = (("keras", "keras"), ("jax", "jax"))
_TORCH = (("keras", "keras"), ("torch", "torch"))
_KERAS_2 = (("tf_keras", "tf_keras"), ("tensorflow", "tensorflow-cpu"))

ON_TENSORFLOW = Claims(
    dialect=KERAS,
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    shards=("equal", "unequal", "empty"),
    devices=2,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-3,
    default_momentum=0.99,
)
ON_JAX = replace(ON_TENSORFLOW, shards=(), cost="compiles per shape")
ON_TORCH = replace(
    ON_TENSORFLOW,
    shards=(),
    layouts=("contiguous", "channels_last", "transposed", "sliced", "expanded", "far"),  # no negative strides
    gradient_subsets=True,
)

IMPLEMENTATIONS = (
    Entry("keras.tensorflow", "keras.keras_tensorflow", ON_TENSORFLOW, _TENSORFLOW, "tensorflow"),
    Entry("keras.jax", "keras.keras_jax", ON_JAX, _JAX, "all", environment=(("KERAS_BACKEND", "jax"),)),
    Entry("keras.torch", "keras.keras_torch", ON_TORCH, _TORCH, "all", environment=(("KERAS_BACKEND", "torch"),)),
    Entry("tf_keras", "keras.tf_keras_layer", ON_TENSORFLOW, _KERAS_2, "tf_keras"),
)
