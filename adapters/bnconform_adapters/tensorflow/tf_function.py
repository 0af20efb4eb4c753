"""tf.compat.v1.nn.fused_batch_norm inside a tf.function."""

from functools import partial

from bnconform_adapters.tensorflow.tensorflow_steps import (
    CompiledLayer,
    compiled_forward_mode,
    defaults_of_step,
    differentiate_twice,
)

Layer = partial(CompiledLayer, xla=False)
second_order = partial(differentiate_twice, xla=False)
jvp = partial(compiled_forward_mode, xla=False)
defaults = defaults_of_step
