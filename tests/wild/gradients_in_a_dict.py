"""A layer in NumPy that keeps parameters in a dict, and adds gradients up until they are flushed."""

import numpy as np


class BatchNorm1D:
    def __init__(self, momentum=0.9, epsilon=1e-5):
        self.momentum, self.epsilon, self.trainable = momentum, epsilon, True
        self.parameters = {"scaler": None, "intercept": None, "running_mean": None, "running_var": None}
        self.gradients = {}

    def init_params(self, n):
        self.parameters = {"scaler": np.ones(n), "intercept": np.zeros(n)}
        self.parameters |= {"running_mean": np.zeros(n), "running_var": np.ones(n)}
        self.flush_gradients()

    def flush_gradients(self):
        self.gradients = {"scaler": 0.0, "intercept": 0.0}

    def forward(self, x, retain_derived=True):
        if self.parameters["scaler"] is None:
            self.init_params(x.shape[1])
        p = self.parameters
        mean, var = p["running_mean"], p["running_var"]
        if self.trainable and retain_derived:
            mean, var = x.mean(axis=0), x.var(axis=0)
            p["running_mean"] = self.momentum * p["running_mean"] + (1 - self.momentum) * mean
            p["running_var"] = self.momentum * p["running_var"] + (1 - self.momentum) * var
            self.x, self.mean, self.invstd = x, mean, 1 / np.sqrt(var + self.epsilon)
        return p["scaler"] * (x - mean) / np.sqrt(var + self.epsilon) + p["intercept"]

    def backward(self, dy):
        xhat = (self.x - self.mean) * self.invstd
        self.gradients["scaler"] = self.gradients["scaler"] + (dy * xhat).sum(axis=0)
        self.gradients["intercept"] = self.gradients["intercept"] + dy.sum(axis=0)
        g = dy * self.parameters["scaler"]
        return (g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) * self.invstd


# For bnconform:
LAYER = {"build": BatchNorm1D, "lazy": True, "mode": ".trainable", "zero_grad": "flush_gradients"}
LAYER |= {"weight": "parameters.scaler", "bias": "parameters.intercept"}
LAYER |= {"running_mean": "parameters.running_mean", "running_var": "parameters.running_var"}
LAYER |= {"dweight": "gradients.scaler", "dbias": "gradients.intercept"}
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "dtypes": ["float64"]}
CLAIMS |= {"ranks": [2], "empty_batches": False}
