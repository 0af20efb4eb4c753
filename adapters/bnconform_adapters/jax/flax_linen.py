"""flax.linen.BatchNorm."""

from functools import partial

import jax
from flax import linen

from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode, over_devices


def apply(parameters, x, statistics, momentum, eps, training, fast_variance=True, axis_name=None):
    """Return y and the new statistics; momentum weighs the new batch here, the old statistics in Flax."""
    module = linen.BatchNorm(
        use_running_average=not training,
        momentum=1 - momentum,
        epsilon=eps,
        dtype=x.dtype if x.dtype.itemsize == 2 else None,
        use_scale="weight" in parameters,
        use_bias="bias" in parameters,
        use_fast_variance=fast_variance,
        axis_name=axis_name,
    )
    names = {"weight": "scale", "bias": "bias"}
    variables = {
        "params": {names[name]: array for name, array in parameters.items()},
        "batch_stats": {"mean": statistics[0], "var": statistics[1]},
    }
    y, updated = module.apply(variables, x, mutable=["batch_stats"])
    return y, (updated["batch_stats"]["mean"], updated["batch_stats"]["var"])


Layer = partial(JaxLayer, apply=apply)
second_order = partial(differentiate_twice, apply=apply)
jvp = partial(forward_mode, apply=apply)
shards = partial(over_devices, apply=apply)


def defaults():
    """Return the defaults of the layer, and the function that trains it."""
    layer = linen.BatchNorm(use_running_average=False)
    state = layer.init(jax.random.key(0), jax.numpy.zeros((4, 4)))
    return {
        "made": "flax.linen.BatchNorm()",
        "eps": layer.epsilon,
        "momentum": layer.momentum,
        "mean": state["batch_stats"]["mean"][0],
        "variance": state["batch_stats"]["var"][0],
        "train": lambda x: layer.apply(state, x, mutable=["batch_stats"])[0],
    }
