"""A batch norm as a class of any kind. It passes as it is: put your own class in place of this one.

The class need not know this project. LAYER says where its parts are, and CLAIMS what it does otherwise than PyTorch.
The objects take NumPy arrays; ARRAYS = "torch" or "jax" names another kind, CHANNEL_AXIS = -1 says that x has shape
(N, *spatial, C). Without a method backward, torch's autograd or jax.vjp differentiates y.

backward is called twice after one forward pass, and must give the same bits: a layer that adds gradients up names the
method that clears them, "zero_grad".
"""

import numpy as np


class BatchNorm:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        self.moving_mean, self.moving_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def column(self, vector, x):
        """Shape a per-channel vector so that it broadcasts against x."""
        return vector.reshape(1, -1, *[1] * (x.ndim - 2))

    def forward(self, x):
        self.axes, self.n = (0, *range(2, x.ndim)), x.size // x.shape[1] if x.size else 0
        self.mean, variance = self.moving_mean, self.moving_var
        if self.training:
            if self.n == 1:
                raise ValueError("training needs more than one value per channel")
            if self.n == 0:
                self.xhat = x
                return x.copy()
            self.mean = x.mean(axis=self.axes)
            variance = np.square(x - self.column(self.mean, x)).mean(axis=self.axes)
            unbiased = variance * x.dtype.type(self.n / (self.n - 1))
            self.moving_mean = (1 - self.momentum) * self.moving_mean + self.momentum * self.mean
            self.moving_var = (1 - self.momentum) * self.moving_var + self.momentum * unbiased
        self.invstd = 1 / np.sqrt(variance + self.eps)
        self.xhat = (x - self.column(self.mean, x)) * self.column(self.invstd, x)
        return self.xhat * self.column(self.gamma, x) + self.column(self.beta, x)

    def backward(self, dy):
        self.dbeta = dy.sum(axis=self.axes)
        self.dgamma = (dy * self.xhat).sum(axis=self.axes)
        if self.n == 0:
            return np.zeros_like(dy)
        scale = self.column(self.gamma * self.invstd, dy)
        if not self.training:
            return dy * scale
        return (dy - self.column(self.dbeta / self.n, dy) - self.xhat * self.column(self.dgamma / self.n, dy)) * scale


# Names of the parts. These and the usual ones (weight, gamma, scale, bias, beta, running_mean, ...) are found without
# LAYER; a file needs the dict itself, so that its class is taken for one of this form.
LAYER = {
    "build": BatchNorm,  # gets those of the channels, eps and momentum that it takes
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_var",
    "dweight": "dgamma",
    "dbias": "dbeta",
    "mode": ".training",  # or "train()", "training=" for an argument of forward, "grad" for torch's gradient mode
}
CLAIMS = {"dtypes": ["float32", "float64"], "gradients": ["training", "inference"]}
