"""Functions on JAX arrays in a file."""

from functools import partial

from bnconform_adapters.plain.arrays_jax import JaxArrays
from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent


class Layer(JaxArrays, FunctionsLayer):
    """JAX arrays that a caller stores between calls."""


second_order = partial(double_backward, Layer)
jvp = partial(tangent, Layer)
shards = partial(over_devices, Layer)
