"""tf.compat.v1.nn.fused_batch_norm inside a tf.function with jit_compile=True."""

from functools import partial

from bnconform_adapters.tensorflow.tensorflow_steps import (
    CompiledLayer,
    compiled_forward_mode,
    defaults_of_step,
    differentiate_twice,
)

Layer = partial(CompiledLayer, xla=True)
second_order = partial(differentiate_twice, xla=True)
jvp = partial(compiled_forward_mode, xla=True)
defaults = defaults_of_step
