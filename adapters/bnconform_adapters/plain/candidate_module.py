"""A torch.nn.Module class in a file that stands in for torch.nn.BatchNorm."""

import inspect
from functools import cache, partial

import numpy as np
import torch

from bnconform_adapters.plain.file_module import FileModuleLayer
from bnconform_adapters.plain.kernel_file import cannot_tell, kernel_file
from bnconform_adapters.plain.torch_device import device_of
from bnconform_adapters.torch.module_layer import module_forward_mode, module_twice
from bnconform_adapters.torch.tensors import parameter_dtype


def module_class(file):
    """Return the named class, or ModelNew, or else the file's only class that takes num_features."""
    if file.kind is None:
        found = {
            name: one
            for name, one in vars(file.module).items()
            if isinstance(one, type)
            and issubclass(one, torch.nn.Module)
            and one.__module__.partition(".")[0] != "torch"
        }
        found = {name: one for name, one in found.items() if one.__module__ == file.module.__name__} or found
        fitting = [one for one in found.values() if "num_features" in inspect.signature(one).parameters]
        fitting = [found["ModelNew"]] if "ModelNew" in found else fitting
        if file.tested is not file.module:
            fitting = [file.tested] if isinstance(file.tested, type) else []
        if len(fitting) != 1:
            cannot_tell(f"there are {len(fitting)} module classes that take num_features; name one: PATH.py:NAME")
        file.kind = fitting[0]
    return file.kind


@cache
def keywords(kind):
    """Return BatchNorm's keywords that a class takes; `bias` only if it is a bool, as in torch."""
    names = {"eps", "momentum", "affine", "bias", "track_running_stats", "dtype", "device"}
    parameters = inspect.signature(kind).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return names - {"bias"}
    names &= set(parameters)
    return names if "bias" not in names or isinstance(parameters["bias"].default, bool) else names - {"bias"}


def module_of(file, channels, **given):
    """Build a module on the device, with only the keywords that its class takes."""
    accepted = keywords(module_class(file))
    module = module_class(file)(channels, **{name: value for name, value in given.items() if name in accepted})
    return module.to(device_of(file))


def usual(file):
    """Build a module with weight and bias if `affine` is a keyword, else with its defaults."""
    return module_of(file, 3, affine=True)


def Layer(case, file=None):
    """Build the module's layer for a case."""
    file = file or kernel_file()
    module = module_of(
        file,
        case.x.shape[1],
        eps=case.eps,
        momentum=file.momentum_of(case),
        affine=case.weight is not None or case.bias is not None,
        bias=case.bias is not None,
        track_running_stats=case.running_mean is not None,
        dtype=parameter_dtype(case),
        device=device_of(file),
    )
    if case.x.dtype == np.float64 and "dtype" not in keywords(module_class(file)):
        module = module.double()
    return FileModuleLayer(file, module, case, device_of(file), lambda: usual(file))


second_order = partial(module_twice, Layer)
jvp = partial(module_forward_mode, Layer)
