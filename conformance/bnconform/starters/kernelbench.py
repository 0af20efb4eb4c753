"""A batch norm in the form of KernelBench. It passes as it is: replace what ModelNew calls by your own kernel.

ModelNew is judged, or Model where there is no ModelNew. It is built with get_init_inputs(), the first whole number
replaced by the case's number of channels; get_inputs() tells the rank of x. Its parameters and buffers are found by
their names: weight, bias, running_mean and running_var, also inside a submodule, as in "bn.weight". eps and momentum
are those that it is built with.
"""

import torch
from torch import nn

# The claims of your model. Defaults: PyTorch's documented behaviour, float32, grade NW, the rank of get_inputs(), and
# gradients if y has any.
CLAIMS = {"dtypes": ["float32"]}


class Normalize(nn.Module):
    """Keeps the parameters and the running statistics."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != len(self.running_mean):
            raise ValueError(f"x has shape {tuple(x.shape)}; pass (N, {len(self.running_mean)}, H, W)")
        if not self.training:
            return self.scaled(x - self.running_mean[:, None, None], self.running_var)
        n = x.numel() // x.shape[1] if x.shape[1] else 2  # without channels there is nothing to refuse
        if n == 1:
            raise ValueError("training needs more than one value per channel")
        if n == 0:  # the parameters have a part in y, so that their gradients are zeros
            return self.scaled(x, self.running_var)
        mean = x.mean((0, 2, 3))
        centred = x - mean[:, None, None]
        variance = centred.square().mean((0, 2, 3))
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        return self.scaled(centred, variance)

    def scaled(self, centred, variance):
        xhat = centred * (1 / torch.sqrt(variance + self.eps))[:, None, None]
        return xhat * self.weight[:, None, None] + self.bias[:, None, None]


class ModelNew(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.bn = Normalize(num_features)

    def forward(self, x):
        return self.bn(x)


def get_inputs():
    return [torch.rand(64, 64, 512, 512)]


def get_init_inputs():
    return [64]
