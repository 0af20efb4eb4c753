"""A layer of a course in NumPy: forward with train_flg, backward that stores the gradients."""

import numpy as np


class BatchNormalization:
    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean = None
        self.running_var = None

    def forward(self, x, train_flg=True):
        if self.running_mean is None:
            self.running_mean, self.running_var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        if not train_flg:
            return self.gamma * (x - self.running_mean) / np.sqrt(self.running_var + 1e-6) + self.beta
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = np.mean(self.xc**2, axis=0)
        self.std = np.sqrt(var + 1e-6)
        self.xn = self.xc / self.std
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dstd = -np.sum(dxn * self.xc / (self.std * self.std), axis=0)
        dxc = dxn / self.std + self.xc * dstd / self.std / len(dout)
        return dxc - dxc.mean(axis=0)


# For bnconform:
LAYER = {
    "build": lambda channels, momentum: BatchNormalization(np.ones(channels), np.zeros(channels), momentum),
    "lazy": True,
    "dweight": "dgamma",
    "dbias": "dbeta",
}
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "fixed_eps": 1e-6}
CLAIMS |= {"dtypes": ["float64"], "ranks": [2], "empty_batches": False}
