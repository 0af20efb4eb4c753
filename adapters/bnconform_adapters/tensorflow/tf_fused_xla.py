"""tf.compat.v1.nn.fused_batch_norm inside a tf.function with jit_compile=True."""

from bnconform_adapters.tensorflow.tensorflow_steps import (
    CompiledLayer,
    compiled_forward_mode,
    defaults_of_step,
    differentiate_twice,
)


def Layer(case):
    return CompiledLayer(case, xla=True)


def second_order(case):
    return differentiate_twice(case, xla=True)


def jvp(case):
    return compiled_forward_mode(case, xla=True)


def defaults():
    """Return the function's defaults; the caller updates the statistics."""
    return defaults_of_step()
