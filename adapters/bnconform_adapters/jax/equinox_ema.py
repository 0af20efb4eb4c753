"""equinox.nn.BatchNorm with mode="ema"."""

from functools import partial

from bnconform_adapters.jax.equinox_batch import defaults_of, new_layer, over_batch
from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode


def apply_ema(parameters, x, state, momentum, eps, training):
    """Return y and the statistics."""
    layer, held = new_layer(parameters, state[0], momentum, eps, "ema")
    held = held.set(layer.ema_state_index, state)
    y, held = over_batch(layer, x, held, training)
    return y, held.get(layer.ema_state_index)


Layer = partial(JaxLayer, apply=apply_ema, last=False)
second_order = partial(differentiate_twice, apply=apply_ema, last=False)
jvp = partial(forward_mode, apply=apply_ema, last=False)


def defaults():
    """Return the defaults of a layer with only its mode given, and the function that trains it."""
    return defaults_of("ema")
