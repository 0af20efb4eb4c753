"""A module of a book: training is where gradients are recorded; statistics are plain attributes (1, C, 1, 1)."""

import torch
from torch import nn


def batch_norm(x, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not torch.is_grad_enabled():
        return gamma * (x - moving_mean) / torch.sqrt(moving_var + eps) + beta, moving_mean, moving_var
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    moving_mean = (1.0 - momentum) * moving_mean + momentum * mean
    moving_var = (1.0 - momentum) * moving_var + momentum * var
    return gamma * (x - mean) / torch.sqrt(var + eps) + beta, moving_mean.data, moving_var.data


class BatchNorm(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        shape = (1, num_features, 1, 1)
        self.gamma, self.beta = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.moving_mean, self.moving_var = torch.zeros(shape), torch.ones(shape)

    def forward(self, x):
        y, self.moving_mean, self.moving_var = batch_norm(
            x, self.gamma, self.beta, self.moving_mean, self.moving_var, eps=1e-5, momentum=0.1
        )
        return y


# For bnconform:
ARRAYS = "torch"
LAYER = {"build": BatchNorm, "mode": "grad"}
CLAIMS = {"ranks": [4], "stored_variance": "biased", "one_value": "zero_variance", "empty_batches": False}
