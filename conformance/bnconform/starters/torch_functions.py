"""A batch norm as functions on torch tensors. It passes as it is: replace the bodies by your own kernel.

Channels are on axis 1 of x, (N, C) or (N, C, *spatial), in any memory layout. weight and bias have shape (C,) or are
None; parameters and statistics are float32 beside half types and have x's dtype otherwise. No input requires gradients:
backward gives them. A function that you leave out is not claimed.
"""

import torch

ARRAYS = "torch"
DEVICE = "cpu"  # or "cuda"

# The claims of your kernel. Defaults: PyTorch's documented behaviour, float32, ranks 2 to 5, grade NW.
CLAIMS = {"dtypes": ["float32", "float64", "float16", "bfloat16"]}


def column(vector, x):
    """Shape a per-channel vector so that it broadcasts against x."""
    return vector.reshape(1, -1, *[1] * (x.ndim - 2))


def reduced_axes(x):
    return (0, *range(2, x.ndim))


def widened(x):
    """float32 for half types, x's dtype otherwise: what the computation runs in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def refuse_bad_input(x, eps, *vectors):
    """Raise where shapes do not fit or eps is negative: a silent answer would be a wrong one."""
    if x.ndim < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}; pass (N, C) or (N, C, *spatial)")
    if eps < 0:
        raise ValueError(f"eps is {eps}; pass 0 or more")
    for vector in vectors:
        if vector is not None and vector.shape != (x.shape[1],):
            raise ValueError(f"a parameter has shape {tuple(vector.shape)}; x needs ({x.shape[1]},)")


def scaled(xhat, weight, bias, x):
    y = xhat if weight is None else xhat * column(weight, x)
    return (y if bias is None else y + column(bias, x)).to(x.dtype)


def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    """Return y, the new running statistics, and whatever backward needs."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    n = x.numel() // x.shape[1] if x.shape[1] else 2  # without channels there is nothing to refuse
    if n == 1:
        raise ValueError("training needs more than one value per channel")
    if n == 0:
        return x.clone(), running_mean.clone(), running_var.clone(), None
    wide = widened(x)
    mean = wide.mean(reduced_axes(x))
    centred = wide - column(mean, x)
    variance = centred.square().mean(reduced_axes(x))
    invstd = 1 / torch.sqrt(variance + eps)
    xhat = centred * column(invstd, x)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * variance * (n / (n - 1))
    return scaled(xhat, weight, bias, x), new_mean, new_var, (xhat, weight, invstd, n)


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    """Return y."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    invstd = 1 / torch.sqrt(running_var + eps)
    xhat = (widened(x) - column(running_mean, x)) * column(invstd, x)
    return scaled(xhat, weight, bias, x)


def backward(dy, saved):
    """Return dx, dweight and dbias of forward_training; a second call with the same `saved` gives the same bits."""
    if saved is None:  # an empty batch
        zeros = widened(dy).new_zeros(dy.shape[1])
        return torch.zeros_like(dy), zeros, zeros.clone()
    xhat, weight, invstd, n = saved
    if dy.shape != xhat.shape:
        raise ValueError(f"dy has shape {tuple(dy.shape)}; the last x had {tuple(xhat.shape)}")
    wide = widened(dy)
    dbias = wide.sum(reduced_axes(dy))
    dweight = (wide * xhat).sum(reduced_axes(dy))
    dx = (wide - column(dbias / n, dy) - xhat * column(dweight / n, dy)) * column(invstd, dy)
    return scaled(dx, weight, None, dy), dweight, dbias


def backward_inference(dy, x, weight, running_mean, running_var, *, eps):
    """Return dx, dweight and dbias of forward_inference."""
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {tuple(dy.shape)}; x has {tuple(x.shape)}")
    invstd = 1 / torch.sqrt(running_var + eps)
    wide = widened(dy)
    xhat = (widened(x) - column(running_mean, x)) * column(invstd, x)
    dx = scaled(wide * column(invstd, dy), weight, None, dy)
    return dx, (wide * xhat).sum(reduced_axes(dy)), wide.sum(reduced_axes(dy))
