"""The definition of batch norm, in float64."""

import numpy as np


def definition(case, mean, var, momentum, unbiased):
    """Compute y, the running statistics and the gradients; mean and var are the statistics before the call."""
    axes = (0, *range(2, case.x.ndim))

    def column(vector, default):
        vector = np.full(case.x.shape[1], default) if vector is None else vector.astype(np.float64)
        return vector.reshape(-1, *[1] * (case.x.ndim - 2))

    x, weight, bias = case.x.astype(np.float64), column(case.weight, 1.0), column(case.bias, 0.0)
    n = x.size // x.shape[1]
    by_batch = case.training or mean is None
    old_mean, old_var = column(mean, 0.0), column(var, 1.0)
    mean, var = (x.mean(axes, keepdims=True), x.var(axes, keepdims=True)) if by_batch else (old_mean, old_var)
    invstd = 1 / np.sqrt(var + case.eps)
    xhat = (x - mean) * invstd
    found = {"y": weight * xhat + bias, "xhat": xhat}
    if case.training:
        stored = var * (n / (n - 1) if unbiased and n > 1 else 1.0)
        found["running_mean"] = ((1 - momentum) * old_mean + momentum * mean).ravel()
        found["running_var"] = ((1 - momentum) * old_var + momentum * stored).ravel()
    if case.dy is not None:
        dy = case.dy.astype(np.float64)
        centred = dy - dy.mean(axes, keepdims=True) - xhat * (dy * xhat).mean(axes, keepdims=True)
        found["dx"] = weight * invstd * (centred if by_batch else dy)
        found["dweight"], found["dbias"] = (dy * xhat).sum(axes), dy.sum(axes)
    return found


def xhat(case):
    """Compute (x - mean) / sqrt(variance + eps) of the batch."""
    return definition(case, None, None, 0.0, unbiased=False)["xhat"]


def derivatives(case):
    """Differentiate sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x, weight; ddy is y's tangent."""
    axes = (0, *range(2, case.x.ndim))

    def column(vector, default):
        vector = np.full(case.x.shape[1], default) if vector is None else vector.astype(np.float64)
        return vector.reshape(-1, *[1] * (case.x.ndim - 2))

    def mean(array):
        return array.mean(axes, keepdims=True)

    def array(given):
        return np.zeros(case.x.shape) if given is None else given.astype(np.float64)

    x, dy, ddx = array(case.x), array(case.dy), array(case.ddx)
    weight, ddweight, ddbias = column(case.weight, 1.0), column(case.ddweight, 0.0), column(case.ddbias, 0.0)
    if not (case.training or case.running_mean is None):
        invstd = 1 / np.sqrt(column(case.running_var, 1.0) + case.eps)
        xhat = (x - column(case.running_mean, 0.0)) * invstd
        ddy = weight * invstd * ddx + ddweight * xhat + ddbias
        found = {"ddy": ddy, "dx": ddweight * dy * invstd, "dweight": (invstd * ddx * dy).sum(axes)}
        return found | {"y_tangent": ddy}
    invstd = 1 / np.sqrt(mean((x - mean(x)) ** 2) + case.eps)
    xhat = (x - mean(x)) * invstd

    def centred(array):
        return array - mean(array) - xhat * mean(array * xhat)

    both = mean(ddx * dy) - mean(ddx) * mean(dy) - mean(ddx * xhat) * mean(dy * xhat)
    ddy = weight * invstd * centred(ddx) + ddweight * xhat + ddbias
    dx = -weight * invstd**2 * (xhat * both + mean(dy * xhat) * centred(ddx) + mean(ddx * xhat) * centred(dy))
    n = x.size // x.shape[1]
    found = {"ddy": ddy, "dx": dx + ddweight * invstd * centred(dy), "dweight": (n * invstd * both).ravel()}
    return found | {"y_tangent": ddy}
