"""Calls of a function that has the arguments of torch.nn.functional.batch_norm."""

import torch

from bnconform_adapters.plain.signatures import default_of
from bnconform_adapters.torch.derivatives import forward_mode, twice
from bnconform_adapters.torch.tensors import differentiated, laid_out, rest_of_call


class CallLayer:
    """The function, and the tensors that a caller stores between calls."""

    def __init__(self, case, batch_norm):
        self.batch_norm = batch_norm
        self.weight, self.bias = (laid_out(one, case.parameters_layout) for one in (case.weight, case.bias))
        self.mean = laid_out(case.running_mean, case.statistics_layout)
        self.var = laid_out(case.running_var, case.statistics_layout)

    def forward(self, case):
        x = laid_out(case.x, case.layout)
        sources = differentiated(case, x, self.weight, self.bias)
        y = self.batch_norm(x, self.mean, self.var, self.weight, self.bias, case.training, case.momentum, case.eps)
        inputs = {"x": x, "weight": self.weight, "bias": self.bias}
        return rest_of_call(case, sources, inputs, y, self.mean, self.var)


def function_of(case, batch_norm):
    """Return y as a function of x and the parameters."""
    mean, var = laid_out(case.running_mean), laid_out(case.running_var)
    return lambda x, parameters: batch_norm(
        x, mean, var, parameters.get("weight"), parameters.get("bias"), case.training, case.momentum, case.eps
    )


def call_twice(case, batch_norm):
    return twice(case, function_of(case, batch_norm))


def call_forward_mode(case, batch_norm):
    return forward_mode(case, function_of(case, batch_norm))


def defaults():
    """Return the function's defaults, and a call that trains."""
    function = torch.nn.functional.batch_norm
    return {
        "made": "torch.nn.functional.batch_norm",
        "eps": default_of(function, "eps"),
        "momentum": default_of(function, "momentum"),
        "train": lambda x: function(torch.from_numpy(x), None, None, training=True).numpy(),
    }
