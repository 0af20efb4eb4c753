"""tf.compat.v1.nn.fused_batch_norm in both of TensorFlow's channels-last forms: eagerly, in a graph, and under XLA.

Eagerly it moves the running statistics itself, by exponential_avg_factor. Compiled it returns the batch's, which the
caller averages, as in the layers built on it: the factor is an attribute there, and each value would compile anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bnconform_adapters.contract import Claims
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.tensorflow_arrays import EagerAdapter, averaged
from bnconform_adapters.tensorflow_compiled import CompiledAdapter
from bnconform_reference.dialect import TENSORFLOW_FUSED

CLAIMS = Claims(
    dialect=TENSORFLOW_FUSED,
    dtypes=("float32", "float16", "bfloat16"),
    ranks=(4, 5),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    parameters=("both",),
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-3,
    default_momentum=1.0,
)
COMPILED = replace(CLAIMS, default_momentum=None, cost="compiles per shape")
BY_XLA = replace(COMPILED, fixed_eps=CLAIMS.default_eps)
"""XLA takes half a second to compile a step for each shape and each eps, an attribute, too: the default is claimed."""


def _normalized(
    x: Any, parameters: Mapping[str, Any], mean: Any, var: Any, *, eps: float, training: bool, **factor: float
) -> tuple[Any, Any, Any]:
    tf = import_framework("tensorflow")

    found: tuple[Any, Any, Any] = tf.compat.v1.nn.fused_batch_norm(
        x,
        parameters["weight"],
        parameters["bias"],
        mean=mean,
        variance=var,
        epsilon=eps,
        data_format="NHWC" if len(x.shape) == 4 else "NDHWC",
        is_training=training,
        **factor,
    )
    return found


def _own_average(
    x: Any, parameters: Mapping[str, Any], mean: Any, var: Any, *, momentum: Any, eps: float, training: bool
) -> tuple[Any, Any, Any]:
    return _normalized(x, parameters, mean, var, eps=eps, training=training, exponential_avg_factor=momentum)


def _callers_average(
    x: Any, parameters: Mapping[str, Any], mean: Any, var: Any, *, momentum: Any, eps: float, training: bool
) -> tuple[Any, Any, Any]:
    given = (None, None) if training else (mean, var)
    y, batch_mean, batch_var = _normalized(x, parameters, *given, eps=eps, training=training)
    return y, *averaged((mean, var), (batch_mean, batch_var), momentum, training)


def fused() -> EagerAdapter:
    """The adapter of TensorFlow's fused batch norm."""
    return EagerAdapter("tf.fused", CLAIMS, _own_average)


def function() -> CompiledAdapter:
    """The adapter of the fused batch norm inside a ``tf.function``."""
    return CompiledAdapter("tf.function", COMPILED, _callers_average, xla=False)


def xla() -> CompiledAdapter:
    """The adapter of the fused batch norm inside a ``tf.function`` with ``jit_compile=True``."""
    return CompiledAdapter("tf.fused.xla", BY_XLA, _callers_average, xla=True)
