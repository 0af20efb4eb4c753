"""The table of TensorFlow's functions; nothing here imports a framework."""

from __future__ import annotations

from dataclasses import replace

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry
from bnconform_reference.dialect import TENSORFLOW_FUSED, Dialect

_TENSORFLOW = (("tensorflow", "tensorflow-cpu"),)

MOMENTS = Claims(
    dialect=Dialect(stored_variance="biased", one_value="zero_variance", cumulative=False),
    dtypes=("float32", "float64"),  # the moments of half x are rounded to its dtype
    layouts=("contiguous",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    bitwise=False,  # vector loops and their tails round differently
)
FUSED = replace(
    MOMENTS,
    dialect=TENSORFLOW_FUSED,
    dtypes=("float32", "float16", "bfloat16"),
    ranks=(4, 5),
    parameters=("both",),
    default_eps=1e-3,
    default_momentum=1.0,
)
COMPILED = replace(FUSED, default_momentum=None, cost="compiles per shape")
# XLA takes half a second to compile a step for each shape and each eps, so only the default eps is claimed.
BY_XLA = replace(COMPILED, fixed_eps=FUSED.default_eps)

IMPLEMENTATIONS = (
    Entry("tf.fused", "tensorflow.tf_fused", FUSED, _TENSORFLOW, "tensorflow"),
    Entry("tf.fused.xla", "tensorflow.tf_fused_xla", BY_XLA, _TENSORFLOW, "tensorflow", environment=()),
    Entry("tf.function", "tensorflow.tf_function", COMPILED, _TENSORFLOW, "tensorflow"),
    Entry("tf.moments", "tensorflow.tf_moments", MOMENTS, _TENSORFLOW, "tensorflow"),
)
