"""A frozen layer of detectors: weight, bias and statistics are buffers; y is an affine map of x in every mode."""

import torch


class FrozenBatchNorm2d(torch.nn.Module):
    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        for name, value in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            self.register_buffer(name, torch.full((num_features,), value))

    def forward(self, x):
        vectors = (self.weight, self.bias, self.running_mean, self.running_var)
        w, b, mean, var = (one.reshape(1, -1, 1, 1) for one in vectors)
        scale = w * (var + self.eps).rsqrt()
        return x * scale + (b - mean * scale)


# For bnconform:
ARRAYS = "torch"
LAYER = {"build": FrozenBatchNorm2d}
CLAIMS = {"modes": ["inference"], "gradients": ["inference"], "parameter_gradients": False, "ranks": [4]}
