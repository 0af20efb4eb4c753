"""Functions of a course in NumPy: a forward pass that returns a cache, a dict that holds the settings."""

import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    running_mean, running_var = bn_param["running_mean"], bn_param["running_var"]
    if mode == "test":
        return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta, None
    mean, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    bn_param["running_mean"] = momentum * running_mean + (1 - momentum) * mean
    bn_param["running_var"] = momentum * running_var + (1 - momentum) * var
    return gamma * xhat + beta, (xhat, gamma, std)


def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    n = len(dout)
    dbeta, dgamma = dout.sum(axis=0), (dout * xhat).sum(axis=0)
    dx = gamma / std / n * (n * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


# For bnconform:
def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    p = {"mode": "train", "eps": eps, "momentum": momentum, "running_mean": running_mean, "running_var": running_var}
    y, cache = batchnorm_forward(x, weight, bias, p)
    return y, p["running_mean"], p["running_var"], cache


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    p = {"mode": "test", "eps": eps, "running_mean": running_mean, "running_var": running_var}
    return batchnorm_forward(x, weight, bias, p)[0]


backward = batchnorm_backward
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "parameters": ["both"],
          "ranks": [2], "dtypes": ["float64"], "empty_batches": False, "checks_arguments": False}  # fmt: skip
