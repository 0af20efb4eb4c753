"""equinox.nn.BatchNorm with mode="ema"."""

from bnconform_adapters.jax.equinox_batch import defaults_of, new_layer, over_batch
from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode


def apply_ema(parameters, x, state, momentum, eps, training):
    """Return y and the statistics."""
    layer, held = new_layer(parameters, state[0], momentum, eps, "ema")
    held = held.set(layer.ema_state_index, state)
    y, held = over_batch(layer, x, held, training)
    return y, held.get(layer.ema_state_index)


def Layer(case):
    return JaxLayer(case, apply_ema, last=False)


def second_order(case):
    return differentiate_twice(case, apply_ema, last=False)


def jvp(case):
    return forward_mode(case, apply_ema, last=False)


def defaults():
    """Return the defaults of a layer with only its mode given, and the function that trains it."""
    return defaults_of("ema")
