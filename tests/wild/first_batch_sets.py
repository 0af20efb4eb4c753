"""A layer from scratch in NumPy: its averages start as the first batch. eps stands outside the root."""

import numpy as np


class BatchNormalization:
    def __init__(self, momentum=0.99):
        self.momentum, self.trainable, self.eps = momentum, True, 0.01
        self.running_mean = self.running_var = self.gamma = self.beta = None

    def forward_pass(self, x, training=True):
        if self.running_mean is None:
            self.running_mean, self.running_var = np.mean(x, axis=0), np.var(x, axis=0)
            self.gamma, self.beta = np.ones(x.shape[1]), np.zeros(x.shape[1])
        mean, var = self.running_mean, self.running_var
        if training and self.trainable:
            mean, var = np.mean(x, axis=0), np.var(x, axis=0)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        return self.gamma * (x - mean) / (np.sqrt(var) + self.eps) + self.beta


# For bnconform:
LAYER = {"build": BatchNormalization, "lazy": True, "forward": "forward_pass"}
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "dtypes": ["float64"]}
CLAIMS |= {"ranks": [2], "empty_batches": False}
