"""torch.nn.BatchNorm1d, 2d and 3d inside torch.autocast for bfloat16."""

import torch

from bnconform_adapters.plain.torch_modules import ModuleLayer, function_of
from bnconform_adapters.plain.torch_tensors import forward_mode, twice


class UnderAutocast(torch.nn.Module):
    """A module whose forward pass, not the backward pass, runs under autocast."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.module(x)


def Layer(case):
    return ModuleLayer(case, UnderAutocast)


def second_order(case):
    return twice(case, function_of(Layer(case), case))


def jvp(case):
    return forward_mode(case, function_of(Layer(case), case))
