"""keras.layers.BatchNormalization on JAX: a step that calls the layer without state."""

from functools import partial

from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode
from bnconform_adapters.keras.keras_arguments import policy_of
from bnconform_adapters.keras.keras_layer import defaults as defaults
from bnconform_adapters.keras.keras_layer import new_layer


def apply(parameters, x, statistics, momentum, eps, training):
    """Return y and the new statistics; momentum weighs the new batch here, the old statistics in Keras."""
    layer = new_layer("jax", center="bias" in parameters, scale="weight" in parameters, dtype=policy_of(x.dtype))
    layer.momentum, layer.epsilon = 1 - momentum, eps  # the constructor takes no tracers
    layer.build(x.shape)
    trainable = [parameters[name] for name in ("weight", "bias") if name in parameters]
    y, (mean, var) = layer.stateless_call(trainable, list(statistics), x, training=training)
    return y, (mean, var)


Layer = partial(JaxLayer, apply=apply)
second_order = partial(differentiate_twice, apply=apply)
jvp = partial(forward_mode, apply=apply)
