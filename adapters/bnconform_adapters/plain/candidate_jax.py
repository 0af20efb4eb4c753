"""Functions on JAX arrays in a file."""

from functools import partial

from bnconform_adapters.plain.arrays_jax import JaxArrays
from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.jitted_functions import kernel_of


class Layer(JaxArrays, FunctionsLayer):
    """JAX arrays that a caller stores between calls."""

    def __init__(self, case, file=None):
        super().__init__(case, file)
        self.kernel = kernel_of(self.file)


second_order = partial(double_backward, Layer)
jvp = partial(tangent, Layer)
shards = partial(over_devices, Layer)
