"""flax.linen.BatchNorm with use_fast_variance=False."""

from bnconform_adapters.plain.flax_linen import apply
from bnconform_adapters.plain.jax_steps import JaxLayer, differentiate_twice, forward_mode


def apply_slow(parameters, x, statistics, momentum, eps, training):
    """y and the new statistics, the variance from a second pass over x."""
    return apply(parameters, x, statistics, momentum, eps, training, fast_variance=False)


def Layer(case):
    return JaxLayer(case, apply_slow)


def second_order(case):
    return differentiate_twice(case, apply_slow)


def jvp(case):
    return forward_mode(case, apply_slow)
