"""A file in the form of KernelBench: ModelNew or Model, and get_init_inputs()."""

from functools import cache, partial

import numpy as np
import torch

from bnconform_adapters.plain.file_module import FileModuleLayer
from bnconform_adapters.plain.kernel_file import cannot_tell, kernel_file
from bnconform_adapters.plain.torch_device import device_of
from bnconform_adapters.torch.module_layer import module_forward_mode, module_twice


def model_class(file):
    """Return the named class, or else ModelNew or Model."""
    if file.kind is None:
        classes = [getattr(file.module, name) for name in ("ModelNew", "Model") if hasattr(file.module, name)]
        classes = classes if file.tested is file.module else [file.tested]
        if not classes or not hasattr(file.module, "get_init_inputs"):
            cannot_tell("there is no ModelNew or Model with get_init_inputs()")
        file.kind = classes[0]
    return file.kind


@cache
def init_inputs(file):
    """Return the model's arguments and the positions of the integers; the first integer is the number of channels."""
    arguments = list(file.module.get_init_inputs())
    return arguments, [i for i, one in enumerate(arguments) if isinstance(one, int) and not isinstance(one, bool)]


def model(file, channels):
    """Build the model for this number of channels."""
    arguments, (place, *_) = init_inputs(file)
    module = model_class(file)(*arguments[:place], channels, *arguments[place + 1 :])
    return module.to(device_of(file, device_of_models()))


def device_of_models():
    """Return the device of a model whose file states none."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def Layer(case, file=None):
    """Build the model's layer for a case."""
    file = file or kernel_file()
    module = model(file, case.x.shape[1])
    if case.x.dtype == np.float64:
        module = module.double()
    return FileModuleLayer(file, module, case, device_of(file, device_of_models()), lambda: model(file, 3))


second_order = partial(module_twice, Layer)
jvp = partial(module_forward_mode, Layer)
