"""flax.linen.BatchNorm with use_fast_variance=False."""

from functools import partial

from bnconform_adapters.jax.flax_linen import apply
from bnconform_adapters.jax.flax_linen import defaults as defaults
from bnconform_adapters.jax.jax_steps import JaxLayer, differentiate_twice, forward_mode, over_devices


def apply_slow(parameters, x, statistics, momentum, eps, training, axis_name=None):
    """Return y and the new statistics; a second pass over x gives the variance."""
    return apply(parameters, x, statistics, momentum, eps, training, fast_variance=False, axis_name=axis_name)


Layer = partial(JaxLayer, apply=apply_slow)
second_order = partial(differentiate_twice, apply=apply_slow)
jvp = partial(forward_mode, apply=apply_slow)
shards = partial(over_devices, apply=apply_slow)
