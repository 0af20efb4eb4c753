"""A module with an activation that works in place on the result; it is switched off to judge the batch norm."""

import torch
from torch.nn import functional


class InPlaceABN(torch.nn.BatchNorm2d):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, activation="leaky_relu"):
        super().__init__(num_features, eps, momentum, affine)
        self.activation = activation

    def forward(self, x):
        y = super().forward(x)
        return functional.leaky_relu_(y, 0.01) if self.activation == "leaky_relu" else y


# For bnconform:
ARRAYS = "torch"
LAYER = {
    "build": lambda channels, eps, momentum: InPlaceABN(channels, eps, momentum, activation="identity"),
}
CLAIMS = {"ranks": [4]}
