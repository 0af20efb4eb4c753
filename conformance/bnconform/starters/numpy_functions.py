"""A batch norm as functions on NumPy arrays. It passes as it is: replace the bodies by your own kernel.

Channels are on axis 1 of x, (N, C) or (N, C, *spatial). weight and bias have shape (C,) or are None; parameters and
statistics are float32 beside half types and have x's dtype otherwise. A function that you leave out is not claimed.
"""

import numpy as np

# The claims of your kernel. Defaults: PyTorch's documented behaviour, float32, ranks 2 to 5, grade NW.
CLAIMS = {"dtypes": ["float32", "float64", "float16"]}


def column(parameter, x, default):
    """Shape a per-channel vector so that it broadcasts against x, in the dtype of the computation."""
    if parameter is None:
        return default
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2)).astype(computed_in(x))


def computed_in(x):
    """float32 for half types, x's dtype otherwise."""
    return np.promote_types(x.dtype, np.float32)


def reduced_axes(x):
    return (0, *range(2, x.ndim))


def refuse_bad_input(x, eps, *parameters):
    """Raise where shapes do not fit or eps is negative: a silent answer would be a wrong one."""
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; pass (N, C) or (N, C, *spatial)")
    if eps < 0:
        raise ValueError(f"eps is {eps}; pass 0 or more")
    for parameter in parameters:
        if parameter is not None and parameter.shape != (x.shape[1],):
            raise ValueError(f"a parameter has shape {parameter.shape}; x needs ({x.shape[1]},)")


def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    """Return y, the new running statistics, and whatever backward needs."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    n = int(np.prod([x.shape[axis] for axis in reduced_axes(x)]))
    if n == 1:
        raise ValueError("training needs more than one value per channel")
    if n == 0:
        return x.copy(), running_mean.copy(), running_var.copy(), None
    wide = x.astype(computed_in(x))
    mean = wide.mean(axis=reduced_axes(x))
    variance = np.square(wide - column(mean, x, 0)).mean(axis=reduced_axes(x))
    invstd = 1 / np.sqrt(variance + eps)
    xhat = (wide - column(mean, x, 0)) * column(invstd, x, 1)
    y = xhat * column(weight, x, 1) + column(bias, x, 0)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * variance * (n / (n - 1))
    return y.astype(x.dtype), new_mean, new_var, (xhat, weight, invstd, n)


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    """Return y."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    invstd = 1 / np.sqrt(running_var + eps)
    xhat = (x.astype(computed_in(x)) - column(running_mean, x, 0)) * column(invstd, x, 1)
    return (xhat * column(weight, x, 1) + column(bias, x, 0)).astype(x.dtype)


def backward(dy, saved):
    """Return dx, dweight and dbias of forward_training; a second call with the same `saved` gives the same bits."""
    if saved is None:  # an empty batch
        zeros = np.zeros(dy.shape[1], computed_in(dy))
        return np.zeros_like(dy), zeros, zeros.copy()
    xhat, weight, invstd, n = saved
    if dy.shape != xhat.shape:
        raise ValueError(f"dy has shape {dy.shape}; the last x had {xhat.shape}")
    wide = dy.astype(computed_in(dy))
    dbias = wide.sum(axis=reduced_axes(dy))
    dweight = (wide * xhat).sum(axis=reduced_axes(dy))
    centred = wide - column(dbias / n, dy, 0) - xhat * column(dweight / n, dy, 0)
    dx = centred * column(invstd, dy, 1) * column(weight, dy, 1)
    return dx.astype(dy.dtype), dweight, dbias


def backward_inference(dy, x, weight, running_mean, running_var, *, eps):
    """Return dx, dweight and dbias of forward_inference."""
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape}; x has {x.shape}")
    invstd = 1 / np.sqrt(running_var + eps)
    wide = dy.astype(computed_in(dy))
    xhat = (x.astype(computed_in(x)) - column(running_mean, x, 0)) * column(invstd, x, 1)
    dx = wide * column(invstd, dy, 1) * column(weight, dy, 1)
    return dx.astype(dy.dtype), (wide * xhat).sum(axis=reduced_axes(dy)), wide.sum(axis=reduced_axes(dy))
