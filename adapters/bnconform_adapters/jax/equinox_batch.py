"""equinox.nn.BatchNorm with mode="batch"."""

from functools import partial

import equinox
import jax

from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode


def new_layer(parameters, mean, momentum, eps, mode):
    """Build the layer and its state; momentum weighs the new batch here, the old statistics in Equinox."""
    layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
        mean.shape[0],
        axis_name="batch",
        eps=eps,
        channelwise_affine=bool(parameters),
        momentum=1 - momentum,
        dtype=mean.dtype,
        mode=mode,
    )
    if parameters:
        given = parameters["weight"], parameters["bias"]
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), layer, given)
    return layer, state


def over_batch(layer, x, state, training):
    """Return y and the new state of a layer that is mapped over the batch."""

    def one(x, state):
        return layer(x, state, inference=not training)

    return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


def apply(parameters, x, state, momentum, eps, training):
    """Return y and the new state: the statistics for inference, the stored ones, and the number of batches."""
    mean, var, stored_mean, stored_var, counter = state
    layer, held = new_layer(parameters, mean, momentum, eps, "batch")
    held = held.set(layer.batch_counter, counter).set(layer.batch_state_index, (stored_mean, stored_var))
    y, held = over_batch(layer, x, held, training)
    if training:
        counter, (stored_mean, stored_var) = held.get(layer.batch_counter), held.get(layer.batch_state_index)
        scale = jax.numpy.where(counter == 0, 1, 1 - layer.momentum**counter)  # as in inference
        mean, var = stored_mean / scale, stored_var / scale
    return y, (mean, var, stored_mean, stored_var, counter)


def state_of(case):
    """Return a state with the case's statistics, after many batches or, for a reset, after none."""
    mean, var = case.running_mean, case.running_var
    return mean, var, mean, var, 0 if case.before == "reset" else 1 << 30


Layer = partial(JaxLayer, apply=apply, begin=state_of, last=False)
second_order = partial(differentiate_twice, apply=apply, begin=state_of, last=False)
jvp = partial(forward_mode, apply=apply, begin=state_of, last=False)


def defaults():
    """Return the defaults of a layer with only its mode given, and the function that trains it."""
    return defaults_of("batch")


def defaults_of(mode):
    layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(4, "batch", mode=mode)
    mean, var = state.get(layer.batch_state_index if mode == "batch" else layer.ema_state_index)
    return {
        "made": f'equinox.nn.BatchNorm(4, "batch", mode="{mode}")',
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": mean[0],
        "variance": var[0],
        "train": lambda x: over_batch(layer, jax.numpy.asarray(x), state, True)[0],
    }
