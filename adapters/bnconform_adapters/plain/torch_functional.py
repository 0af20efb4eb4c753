"""torch.nn.functional.batch_norm."""

import torch

from bnconform_adapters.plain.torch_tensors import differentiated, forward_mode, laid_out, rest_of_call, twice


class Layer:
    """The tensors that a caller keeps between calls."""

    def __init__(self, case):
        self.weight, self.bias = (laid_out(one, case.parameters_layout) for one in (case.weight, case.bias))
        self.mean = laid_out(case.running_mean, case.statistics_layout)
        self.var = laid_out(case.running_var, case.statistics_layout)

    def forward(self, case):
        x = laid_out(case.x, case.layout)
        sources = differentiated(case, x, self.weight, self.bias)
        y = torch.nn.functional.batch_norm(
            x, self.mean, self.var, self.weight, self.bias, case.training, case.momentum, case.eps
        )
        inputs = {"x": x, "weight": self.weight, "bias": self.bias}
        return rest_of_call(case, sources, inputs, y, self.mean, self.var)


def function_of(case):
    """y from x and the parameters."""
    mean, var = laid_out(case.running_mean), laid_out(case.running_var)
    return lambda x, parameters: torch.nn.functional.batch_norm(
        x, mean, var, parameters.get("weight"), parameters.get("bias"), case.training, case.momentum, case.eps
    )


def second_order(case):
    return twice(case, function_of(case))


def jvp(case):
    return forward_mode(case, function_of(case))
