"""torch.nn.BatchNorm1d, 2d and 3d."""

from bnconform_adapters.plain.torch_modules import ModuleLayer, function_of
from bnconform_adapters.plain.torch_tensors import forward_mode, twice


def Layer(case):
    return ModuleLayer(case)


def second_order(case):
    return twice(case, function_of(Layer(case), case))


def jvp(case):
    return forward_mode(case, function_of(Layer(case), case))
