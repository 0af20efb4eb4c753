"""Functions on torch tensors in a file."""

from functools import partial

from bnconform_adapters.plain.arrays_torch import TorchArrays
from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent


class Layer(TorchArrays, FunctionsLayer):
    """Torch tensors that a caller stores between calls."""


second_order = partial(double_backward, Layer)
jvp = partial(tangent, Layer)
shards = partial(over_devices, Layer)
