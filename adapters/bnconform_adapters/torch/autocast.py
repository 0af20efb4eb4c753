"""torch.nn.BatchNorm1d, 2d and 3d inside torch.autocast for bfloat16."""

from functools import partial

import torch

from bnconform_adapters.torch.batch_norm_modules import built
from bnconform_adapters.torch.batch_norm_modules import defaults as defaults
from bnconform_adapters.torch.module_layer import ModuleLayer, module_forward_mode, module_twice


class UnderAutocast(ModuleLayer):
    """A module layer whose forward pass runs under autocast; its backward pass does not."""

    def call(self, module, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module(x)


def Layer(case):
    return UnderAutocast(built(case), case)


second_order = partial(module_twice, Layer)
jvp = partial(module_forward_mode, Layer)
