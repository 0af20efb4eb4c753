"""torch.nn.BatchNorm1d, 2d and 3d."""

from functools import partial

import torch

from bnconform_adapters.torch.module_layer import ModuleLayer, module_forward_mode, module_twice
from bnconform_adapters.torch.tensors import parameter_dtype


def built(case):
    """Build a module for the case's channels, eps, momentum and dtypes."""
    kind = {4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}.get(case.x.ndim, torch.nn.BatchNorm1d)
    return kind(
        case.x.shape[1],
        eps=case.eps,
        momentum=case.momentum,
        affine=case.weight is not None,
        track_running_stats=case.running_mean is not None,
        dtype=parameter_dtype(case),
    )


def Layer(case):
    return ModuleLayer(built(case), case)


second_order = partial(module_twice, Layer)
jvp = partial(module_forward_mode, Layer)


def defaults():
    """Return the state of a new layer, and a function that trains it."""
    layer = torch.nn.BatchNorm1d(4)
    return {
        "made": "torch.nn.BatchNorm1d(4)",
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": layer.running_mean[0],
        "variance": layer.running_var[0],
        "train": lambda x: layer(torch.from_numpy(x)).detach().numpy(),
    }
