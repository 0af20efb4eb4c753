"""Functions in JAX on channels-last arrays, with averages that weigh the old value."""

import jax
import jax.numpy as jnp


@jax.jit
def train(x, scale, offset, mean, var, decay, eps):
    axes = tuple(range(x.ndim - 1))
    mu = x.mean(axes)
    sigma2 = jnp.square(x - mu).mean(axes)
    y = (x - mu) * jax.lax.rsqrt(sigma2 + eps) * scale + offset
    return y, decay * mean + (1 - decay) * mu, decay * var + (1 - decay) * sigma2


@jax.jit
def infer(x, scale, offset, mean, var, eps):
    return (x - mean) * jax.lax.rsqrt(var + eps) * scale + offset


# For bnconform:
ARRAYS, CHANNEL_AXIS = "jax", -1
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "parameters": ["both"]}
CLAIMS |= {"empty_batches": False, "checks_arguments": False}


def forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps):
    return (*train(x, weight, bias, running_mean, running_var, momentum, eps), None)


def forward_inference(x, weight, bias, running_mean, running_var, *, eps):
    return infer(x, weight, bias, running_mean, running_var, eps)
