"""JAX: a layer with state around one compiled step, channels last."""

from functools import partial

import jax
import numpy as np


def channels_last(array):
    """(N, C, *spatial) as (N, *spatial, C)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def channels_second(array):
    """(N, *spatial, C) as (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(array), -1, 1))


@partial(jax.jit, static_argnames=("apply", "training"))
def step(apply, parameters, x, statistics, dy, momentum, eps, training):
    """Forward and backward."""

    def forward(parameters, x):
        return apply(parameters, x, statistics, momentum, eps, training)

    y, pullback, new = jax.vjp(forward, parameters, x, has_aux=True)
    return y, new, pullback(dy.astype(y.dtype))


@partial(jax.jit, static_argnames=("apply", "training"))
def backward_of_backward(apply, parameters, x, statistics, dy, vectors, momentum, eps, training):
    """Gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by the parameters, x and dy."""

    def gradients(parameters, x, dy):
        return step(apply, parameters, x, statistics, dy, momentum, eps, training)[2]

    return jax.vjp(gradients, parameters, x, dy)[1](vectors)


@partial(jax.jit, static_argnames=("apply", "training"))
def tangent(apply, parameters, x, statistics, vectors, momentum, eps, training):
    """The tangent of y."""

    def forward(parameters, x):
        return apply(parameters, x, statistics, momentum, eps, training)[0]

    return jax.jvp(forward, (parameters, x), vectors)[1]


class JaxLayer:
    """Parameters, and statistics that each call replaces."""

    def __init__(self, case, apply):
        self.apply, self.dtype = apply, "float64" if case.x.dtype == np.float64 else "float32"
        given = {"weight": case.weight, "bias": case.bias}
        self.parameters = {name: array for name, array in given.items() if array is not None}
        self.statistics = (case.running_mean, case.running_var)
        self.momentum, self.eps = np.asarray(case.momentum, self.dtype), np.asarray(case.eps, self.dtype)

    def forward(self, case):
        dy = np.zeros_like(case.x) if case.dy is None else case.dy
        with jax.enable_x64(case.x.dtype == np.float64):
            x, dy = jax.numpy.asarray(channels_last(case.x)), jax.numpy.asarray(channels_last(dy))
            y, new, (by_parameters, dx) = step(
                self.apply, self.parameters, x, self.statistics, dy, self.momentum, self.eps, training=case.training
            )
            self.statistics = mean, var = tuple(map(np.asarray, new))
            results = {"y": channels_second(y), "running_mean": mean, "running_var": var, "x after": channels_second(x)}
            results |= {f"{name} after": np.asarray(array) for name, array in self.parameters.items()}
            if case.dy is not None:
                results |= {"dx": channels_second(dx), "dy after": channels_second(dy)}
                results |= {f"d{name}": np.asarray(gradient) for name, gradient in by_parameters.items()}
        return lambda: results


def vectors_of(case):
    """ddweight and ddbias by the parameters' names, and ddx; zeros where they are None."""
    given = {"weight": (case.weight, case.ddweight), "bias": (case.bias, case.ddbias)}
    parameters = {
        name: np.zeros_like(like) if vector is None else vector
        for name, (like, vector) in given.items()
        if like is not None
    }
    return parameters, channels_last(np.zeros_like(case.x) if case.ddx is None else case.ddx)


def differentiate_twice(case, apply):
    layer = JaxLayer(case, apply)
    with jax.enable_x64(case.x.dtype == np.float64):
        x, dy = jax.numpy.asarray(channels_last(case.x)), jax.numpy.asarray(channels_last(case.dy))
        constants = layer.statistics, dy, vectors_of(case), layer.momentum, layer.eps
        by_parameters, dx, ddy = backward_of_backward(apply, layer.parameters, x, *constants, training=case.training)
        found = {"ddy": channels_second(ddy), "dx": channels_second(dx)}
        return found | ({"dweight": np.asarray(by_parameters["weight"])} if case.weight is not None else {})


def forward_mode(case, apply):
    layer = JaxLayer(case, apply)
    with jax.enable_x64(case.x.dtype == np.float64):
        x = jax.numpy.asarray(channels_last(case.x))
        constants = layer.statistics, vectors_of(case), layer.momentum, layer.eps
        return {"y_tangent": channels_second(tangent(apply, layer.parameters, x, *constants, training=case.training))}
