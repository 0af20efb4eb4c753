"""Torch tensors, as the suite passes them to a file's code and gets them back."""

import torch

from bnconform_adapters.plain.kernel_file import wrong_kind
from bnconform_adapters.plain.torch_device import device_of
from bnconform_adapters.torch.tensors import array, laid_out, sharing, tensor, tensor_overrun


class TorchArrays:
    """Conversions between a case's arrays and tensors on the file's device."""

    composed = False

    def placed(self, given, layout):
        return laid_out(given, layout, device_of(self.file))

    def written(self, old, new):
        """Overwrite the tensor."""
        return None if old is None else old.detach().copy_(tensor(new.copy()))

    def copied(self, found, name):
        """Convert a tensor that a function returned as `name` to NumPy; None stays None."""
        if found is None:
            return None
        if not isinstance(found, torch.Tensor):
            raise wrong_kind(found, "torch.Tensor", name)
        device = device_of(self.file)
        if found.device.type != torch.device(device).type:
            raise TypeError(f"returned a tensor on {found.device} where x is on {device}, as {name}")
        return array(found)

    def shared(self, outputs, inputs):
        return sharing(outputs, inputs, self.composed)

    def overrun(self, given):
        return tensor_overrun(given)
