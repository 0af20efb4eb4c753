"""flax.nnx.BatchNorm."""

from functools import partial

from flax import nnx

from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode, over_devices


def apply(parameters, x, statistics, momentum, eps, training, axis_name=None):
    """Return y and the new statistics; momentum weighs the new batch here, the old statistics in Flax."""
    module = nnx.BatchNorm(
        statistics[0].shape[0],
        use_running_average=not training,
        momentum=1 - momentum,
        epsilon=eps,
        dtype=x.dtype if x.dtype.itemsize == 2 else None,
        use_scale="weight" in parameters,
        use_bias="bias" in parameters,
        axis_name=axis_name,
        rngs=nnx.Rngs(0),
    )
    module.mean[...], module.var[...] = statistics
    if "weight" in parameters:
        module.scale[...] = parameters["weight"]
    if "bias" in parameters:
        module.bias[...] = parameters["bias"]
    y = module(x)
    return y, (module.mean[...], module.var[...])


Layer = partial(JaxLayer, apply=apply)
second_order = partial(differentiate_twice, apply=apply)
jvp = partial(forward_mode, apply=apply)
shards = partial(over_devices, apply=apply)


def defaults():
    """Return the defaults of the layer, and the function that trains it."""
    layer = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    return {
        "made": "flax.nnx.BatchNorm(4)",
        "eps": layer.epsilon,
        "momentum": layer.momentum,
        "mean": layer.mean[...][0],
        "variance": layer.var[...][0],
        "train": layer,
    }
