"""tf.nn.moments and tf.nn.batch_normalization, with a moving average of the caller's own, called eagerly.

Half types are not claimed: the moments are rounded to x's dtype there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnconform_adapters.contract import Claims
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.tensorflow_arrays import EagerAdapter, averaged
from bnconform_reference.dialect import Dialect

CLAIMS = Claims(
    dialect=Dialect(stored_variance="biased", one_value="zero_variance", cumulative=False),
    dtypes=("float32", "float64"),
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    bitwise=False,  # vector loops and their tails round differently
)


def _normalized(
    x: Any, parameters: Mapping[str, Any], mean: Any, var: Any, *, momentum: Any, eps: float, training: bool
) -> tuple[Any, Any, Any]:
    tf = import_framework("tensorflow")

    by = tf.nn.moments(x, list(range(len(x.shape) - 1))) if training else (mean, var)
    y = tf.nn.batch_normalization(x, *by, parameters.get("bias"), parameters.get("weight"), eps)
    return y, *averaged((mean, var), by, momentum, training)


def moments() -> EagerAdapter:
    """The adapter of TensorFlow's two functions."""
    return EagerAdapter("tf.moments", CLAIMS, _normalized)
