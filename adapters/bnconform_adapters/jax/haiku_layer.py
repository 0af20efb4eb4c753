"""haiku.BatchNorm."""

from functools import partial

import haiku as hk
import jax
import numpy as np

from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode, over_devices
from bnconform_adapters.plain.signatures import default_of


def apply(parameters, x, state, momentum, eps, training, axis_name=None):
    """Return y and the new state; momentum weighs the new batch here, the old statistics in Haiku."""

    def call(x):
        present = "weight" in parameters, "bias" in parameters
        layer = hk.BatchNorm(*present, 1 - momentum, eps, cross_replica_axis=axis_name, name="layer")
        return layer(x, is_training=training)

    def shaped(vector):
        return vector.reshape((1,) * (x.ndim - 1) + vector.shape)

    names = {"weight": "scale", "bias": "offset"}
    given = {"layer": {names[name]: shaped(array) for name, array in parameters.items()}}
    mean, var, hidden_mean, hidden_var = map(shaped, state[:4])
    averages = {
        "layer/~/mean_ema": {"average": mean, "hidden": hidden_mean, "counter": state[4]},
        "layer/~/var_ema": {"average": var, "hidden": hidden_var, "counter": state[4]},
    }
    y, new = hk.transform_with_state(call).apply(given, averages, None, x)
    mean, var = new["layer/~/mean_ema"], new["layer/~/var_ema"]
    arrays = mean["average"], var["average"], mean["hidden"], var["hidden"]
    return y, (*(array.reshape(-1) for array in arrays), mean["counter"])


def state_of(case):
    """Return averages with the case's statistics, after many batches or, for a reset, after none."""
    mean, var = case.running_mean, case.running_var
    if case.before == "reset":
        return mean, var, np.zeros_like(mean), np.zeros_like(var), np.int32(0)
    return mean, var, mean, var, np.int32(1 << 30)


Layer = partial(JaxLayer, apply=apply, begin=state_of)
second_order = partial(differentiate_twice, apply=apply, begin=state_of)
jvp = partial(forward_mode, apply=apply, begin=state_of)
shards = partial(over_devices, apply=apply, begin=state_of)


def defaults():
    """Return the defaults of a layer with only its decay_rate given, and the function that trains it."""
    layer = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, True))
    variables, state = layer.init(None, np.zeros((4, 4, 4), np.float32))
    mean, var = (state[f"batch_norm/~/{name}_ema"]["average"].ravel()[0] for name in ("mean", "var"))
    return {
        "made": "haiku.BatchNorm(True, True, decay_rate)",
        "eps": default_of(hk.BatchNorm, "eps"),
        "momentum": default_of(hk.BatchNorm, "decay_rate"),
        "mean": mean,
        "variance": var,
        "train": lambda x: layer.apply(variables, state, None, jax.numpy.asarray(x))[0],
    }
