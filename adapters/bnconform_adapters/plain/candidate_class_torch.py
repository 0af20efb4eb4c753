"""A class in a file whose objects take torch tensors."""

from contextlib import nullcontext

import numpy as np
import torch

from bnconform_adapters.plain.arrays_torch import TorchArrays
from bnconform_adapters.plain.called_object import ObjectLayer, part, set_part
from bnconform_adapters.plain.torch_device import device_of
from bnconform_adapters.torch.tensors import differentiated, parameter_dtype, tensor


class Layer(TorchArrays, ObjectLayer):
    """An object that keeps torch tensors; without a backward method, autograd differentiates it."""

    def own_settings(self, case):
        return {"dtype": parameter_dtype(case), "device": device_of(self.file)}

    def prepared(self, built, case):
        if not isinstance(built, torch.nn.Module):
            return built
        return (built.double() if case.x.dtype == np.float64 else built).to(device_of(self.file))

    def load(self, case):
        super().load(case)
        for name, buffer in self.object.named_buffers() if isinstance(self.object, torch.nn.Module) else ():
            if name.endswith("num_batches_tracked"):
                buffer.zero_()

    def is_registered(self, found):
        """Return True for a parameter or buffer of a module."""
        module = self.object if isinstance(self.object, torch.nn.Module) else torch.nn.Module()
        return any(one is found for one in (*module.parameters(), *module.buffers()))

    def put(self, path, array):
        """Overwrite a tensor that a module has registered; replace any other."""
        old, new = part(self.object, path), tensor(array.copy())
        if self.is_registered(old):
            with torch.no_grad():
                old.copy_(new.reshape(old.shape))
        else:
            same = isinstance(old, torch.Tensor) and old.numel() == array.size
            shape = old.shape if same else self.table.get("shape", (-1,))
            set_part(self.object, path, new.reshape(shape).to(device_of(self.file)))

    def recording(self, case):
        return nullcontext() if case.training else torch.no_grad()

    def begin(self, case, x):
        if callable(self.method("backward")):
            return super().begin(case, x)
        self.composed = True
        sources = differentiated(case, x, self.own("weight"), self.own("bias"))
        y, _ = self.call(x, case)

        def backward(dy):
            found = torch.autograd.grad(y, list(sources.values()), dy, allow_unused=True, retain_graph=True)
            return dict(zip(sources, found, strict=True))

        return y, backward
