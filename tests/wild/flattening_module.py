"""A module of annotated papers: x is viewed as (N, C, L); it works without running statistics too."""

import torch
from torch import nn


class BatchNorm(nn.Module):
    def __init__(self, channels, *, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        if track_running_stats:
            self.register_buffer("exp_mean", torch.zeros(channels))
            self.register_buffer("exp_var", torch.ones(channels))

    def forward(self, x):
        shape = x.shape
        if self.channels != x.shape[1]:
            raise ValueError(f"x has {x.shape[1]} channels, the layer {self.channels}")
        x = x.reshape(shape[0], self.channels, -1)
        if self.training or not self.track_running_stats:
            mean = x.mean(dim=[0, 2])
            var = ((x - mean.view(1, -1, 1)) ** 2).mean(dim=[0, 2])
            if self.training and self.track_running_stats:
                self.exp_mean = (1 - self.momentum) * self.exp_mean + self.momentum * mean.detach()
                self.exp_var = (1 - self.momentum) * self.exp_var + self.momentum * var.detach()
        else:
            mean, var = self.exp_mean, self.exp_var
        y = (x - mean.view(1, -1, 1)) / torch.sqrt(var + self.eps).view(1, -1, 1)
        return (self.scale.view(1, -1, 1) * y + self.shift.view(1, -1, 1) if self.affine else y).view(shape)


# For bnconform:
ARRAYS = "torch"
LAYER = {"build": BatchNorm, "weight": "scale", "bias": "shift", "running_mean": "exp_mean", "running_var": "exp_var"}
CLAIMS = {"stored_variance": "biased", "one_value": "zero_variance", "empty_batches": False}
