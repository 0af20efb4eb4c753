"""A batch norm as functions on JAX arrays. It passes as it is: replace the bodies by your own kernel.

Channels are on axis 1 of x, (N, C) or (N, C, *spatial). weight and bias have shape (C,) or are None; parameters and
statistics are float32 beside half types and have x's dtype otherwise. New running statistics are returned, since JAX
arrays cannot be updated in place. A function that you leave out is not claimed.

Shapes are checked before the jitted part, where they are known; momentum and eps are traced, so that a new value of
either compiles nothing.
"""

import jax
import jax.numpy as jnp

ARRAYS = "jax"
DEVICE = "cpu"  # or "gpu", "tpu"

# The claims of your kernel. Defaults: PyTorch's documented behaviour, float32, ranks 2 to 5, grade NW. "cost" is
# "compiles per shape", which draws shapes from a small pool; write "cheap" if your kernel compiles nothing.
CLAIMS = {"dtypes": ["float32", "float64", "float16", "bfloat16"]}


def column(vector, x):
    """Shape a per-channel vector so that it broadcasts against x."""
    return vector.reshape(1, -1, *[1] * (x.ndim - 2))


def reduced_axes(x):
    return (0, *range(2, x.ndim))


def widened(x):
    """float32 for half types, x's dtype otherwise: what the computation runs in."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def refuse_bad_input(x, eps, *vectors):
    """Raise where shapes do not fit or eps is negative: a silent answer would be a wrong one."""
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; pass (N, C) or (N, C, *spatial)")
    if eps < 0:
        raise ValueError(f"eps is {eps}; pass 0 or more")
    for vector in vectors:
        if vector is not None and vector.shape != (x.shape[1],):
            raise ValueError(f"a parameter has shape {vector.shape}; x needs ({x.shape[1]},)")


@jax.jit
def scaled(xhat, weight, bias, x):
    y = xhat if weight is None else xhat * column(weight, x)
    return (y if bias is None else y + column(bias, x)).astype(x.dtype)


@jax.jit
def normalize_by_batch(x, eps):
    """Return xhat and the batch's statistics."""
    wide = widened(x)
    mean = wide.mean(reduced_axes(x))
    centred = wide - column(mean, x)
    variance = jnp.square(centred).mean(reduced_axes(x))
    invstd = 1 / jnp.sqrt(variance + eps)
    return centred * column(invstd, x), mean, variance, invstd


@jax.jit
def blend(old, new, momentum):
    return (1 - momentum) * old + momentum * new


def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    """Return y, the new running statistics, and whatever backward needs."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    n = x.size // x.shape[1] if x.shape[1] else 2  # without channels there is nothing to refuse
    if n == 1:
        raise ValueError("training needs more than one value per channel")
    if n == 0:
        return x, running_mean, running_var, None
    xhat, mean, variance, invstd = normalize_by_batch(x, eps)
    y = scaled(xhat, weight, bias, x)
    new_mean = blend(running_mean, mean, momentum)
    new_var = blend(running_var, variance * (n / (n - 1)), momentum)
    return y, new_mean, new_var, (xhat, weight, invstd)


@jax.jit
def normalize_by_running_statistics(x, weight, bias, running_mean, running_var, eps):
    invstd = 1 / jnp.sqrt(running_var + eps)
    return scaled((widened(x) - column(running_mean, x)) * column(invstd, x), weight, bias, x)


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    """Return y."""
    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)
    return normalize_by_running_statistics(x, weight, bias, running_mean, running_var, eps)


@jax.jit
def gradients_in_training(dy, xhat, weight, invstd):
    n = dy.size // dy.shape[1] if dy.shape[1] else 2
    wide = widened(dy)
    dbias = wide.sum(reduced_axes(dy))
    dweight = (wide * xhat).sum(reduced_axes(dy))
    dx = (wide - column(dbias / n, dy) - xhat * column(dweight / n, dy)) * column(invstd, dy)
    return scaled(dx, weight, None, dy), dweight, dbias


def backward(dy, saved):
    """Return dx, dweight and dbias of forward_training; a second call with the same `saved` gives the same bits."""
    if saved is None:  # an empty batch
        zeros = jnp.zeros(dy.shape[1], widened(dy).dtype)
        return jnp.zeros_like(dy), zeros, zeros
    xhat, weight, invstd = saved
    if dy.shape != xhat.shape:
        raise ValueError(f"dy has shape {dy.shape}; the last x had {xhat.shape}")
    return gradients_in_training(dy, xhat, weight, invstd)


@jax.jit
def gradients_in_inference(dy, x, weight, running_mean, running_var, eps):
    invstd = 1 / jnp.sqrt(running_var + eps)
    wide = widened(dy)
    xhat = (widened(x) - column(running_mean, x)) * column(invstd, x)
    dx = scaled(wide * column(invstd, dy), weight, None, dy)
    return dx, (wide * xhat).sum(reduced_axes(dy)), wide.sum(reduced_axes(dy))


def backward_inference(dy, x, weight, running_mean, running_var, *, eps):
    """Return dx, dweight and dbias of forward_inference."""
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape}; x has {x.shape}")
    return gradients_in_inference(dy, x, weight, running_mean, running_var, eps)


@jax.jit
def tangent_of_y(x, weight, bias, x_tangent, weight_tangent, bias_tangent, eps):
    def y(x, weight, bias):
        return scaled(normalize_by_batch(x, eps)[0], weight, bias, x)

    present = (x, weight, bias), (x_tangent, weight_tangent, bias_tangent)
    return jax.jvp(y, *present)[1]


def jvp(x, weight, bias, x_tangent, weight_tangent, bias_tangent, *, eps):
    """Return the tangent of y in training; leave it out if your kernel has no forward mode."""
    return tangent_of_y(x, weight, bias, x_tangent, weight_tangent, bias_tangent, eps)
