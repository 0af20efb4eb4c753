"""Functions on torch tensors in a file."""

import torch

from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.torch_device import device
from bnconform_adapters.plain.calling import shared
from bnconform_adapters.torch.tensors import array, laid_out, on_one_storage, tensor, tensor_overrun


class Layer(FunctionsLayer):
    """The tensors that a caller keeps between calls."""

    def placed(self, given, layout):
        return laid_out(given, layout, device())

    def written(self, kept, new):
        """The tensor with other contents."""
        return None if kept is None else kept.detach().copy_(tensor(new.copy()))

    def copied(self, found):
        """A NumPy array of what a function returned, or None."""
        if found is None:
            return None
        if not isinstance(found, torch.Tensor):
            raise TypeError(f"returned a {type(found).__name__} where a tensor is asked for")
        if found.device.type != torch.device(device()).type:
            raise TypeError(f"returned a tensor on {found.device} where x is on {device()}")
        return array(found)

    def shared(self, outputs, inputs):
        return shared(outputs, inputs, on_one_storage)

    def overrun(self, given):
        return tensor_overrun(given)


def second_order(case):
    return double_backward(Layer(case), case)


def jvp(case):
    return tangent(Layer(case), case)


def shards(*cases):
    return over_devices([Layer(case) for case in cases], cases)
