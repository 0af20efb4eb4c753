"""torch.nn.functional.batch_norm."""

import torch

from bnconform_adapters.plain.calling import place
from bnconform_adapters.plain.torch_tensors import differentiated, forward_mode, rest_of_call, tensor, twice


class Layer:
    """The tensors that a caller keeps between calls."""

    def __init__(self, case):
        self.weight, self.bias = (tensor(place(one, case.parameters_layout)) for one in (case.weight, case.bias))
        self.mean = tensor(place(case.running_mean, case.statistics_layout))
        self.var = tensor(place(case.running_var, case.statistics_layout))

    def forward(self, case):
        x = tensor(place(case.x, case.layout))
        sources = differentiated(case, x, self.weight, self.bias)
        y = torch.nn.functional.batch_norm(
            x, self.mean, self.var, self.weight, self.bias, case.training, case.momentum, case.eps
        )
        inputs = {"x": x, "weight": self.weight, "bias": self.bias}
        return rest_of_call(case, sources, inputs, y, self.mean, self.var)


def function_of(case):
    """y from x and the parameters."""
    mean, var = tensor(place(case.running_mean)), tensor(place(case.running_var))
    return lambda x, parameters: torch.nn.functional.batch_norm(
        x, mean, var, parameters.get("weight"), parameters.get("bias"), case.training, case.momentum, case.eps
    )


def second_order(case):
    return twice(case, function_of(case))


def jvp(case):
    return forward_mode(case, function_of(case))
