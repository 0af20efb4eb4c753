"""JAX: a layer whose calls run one compiled step and replace its state."""

from functools import partial

import jax
import numpy as np

from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.plain.cotangents import cotangents


def given(array, last):
    """Convert an array of the case to the layer's axes, with channels last or second."""
    return jax.numpy.asarray(channels_last(array) if last else array)


def found(array, last):
    """Convert an array of the layer to channels second."""
    return channels_second(array) if last else np.asarray(array)


@partial(jax.jit, static_argnames=("apply", "training"))
def step(apply, parameters, x, state, dy, momentum, eps, training):
    """Run forward and backward pass."""

    def forward(parameters, x):
        return apply(parameters, x, state, momentum, eps, training)

    y, pullback, new = jax.vjp(forward, parameters, x, has_aux=True)
    return y, new, pullback(dy.astype(y.dtype))


@partial(jax.jit, static_argnames=("apply", "training"))
def backward_of_backward(apply, parameters, x, state, dy, vectors, momentum, eps, training):
    """Differentiate sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by the parameters, x and dy."""

    def gradients(parameters, x, dy):
        return step(apply, parameters, x, state, dy, momentum, eps, training)[2]

    return jax.vjp(gradients, parameters, x, dy)[1](vectors)


@partial(jax.jit, static_argnames=("apply", "training"))
def tangent(apply, parameters, x, state, vectors, momentum, eps, training):
    """Compute the tangent of y from arrays."""

    def forward(parameters, x):
        return apply(parameters, x, state, momentum, eps, training)[0]

    return jax.jvp(forward, (parameters, x), vectors)[1]


def statistics_alone(case):
    """Return the state of a layer that has running statistics only."""
    return case.running_mean, case.running_var


class JaxLayer:
    """Parameters, and a state that each call replaces: running mean and variance, and further state of some layers."""

    def __init__(self, case, apply, begin=statistics_alone, last=True):
        self.last, self.apply, self.dtype = last, apply, "float64" if case.x.dtype == np.float64 else "float32"
        present = {"weight": case.weight, "bias": case.bias}
        self.parameters = {name: array for name, array in present.items() if array is not None}
        self.state = begin(case)
        self.momentum, self.eps = np.asarray(case.momentum, self.dtype), np.asarray(case.eps, self.dtype)

    def forward(self, case):
        dy = np.zeros_like(case.x) if case.dy is None else case.dy
        with jax.enable_x64(case.x.dtype == np.float64):
            x, dy = given(case.x, self.last), given(dy, self.last)
            y, self.state, (by_parameters, dx) = step(
                self.apply, self.parameters, x, self.state, dy, self.momentum, self.eps, training=case.training
            )
            mean, var = np.asarray(self.state[0]), np.asarray(self.state[1])
            results = {"y": found(y, self.last), "running_mean": mean, "running_var": var}
            results |= {"x after": found(x, self.last)}
            results |= {f"{name} after": np.asarray(array) for name, array in self.parameters.items()}
            if case.dy is not None:
                results |= {"dx": found(dx, self.last), "dy after": found(dy, self.last)}
                results |= {f"d{name}": np.asarray(gradient) for name, gradient in by_parameters.items()}
        return lambda: results


def vectors_of(case, last):
    """Return ddweight and ddbias under the parameters' names, and ddx; zeros replace None."""
    vectors = cotangents(case)
    ddx = given(vectors.pop("dx"), last)
    return {name.removeprefix("d"): vector for name, vector in vectors.items()}, ddx


def differentiate_twice(case, apply, begin=statistics_alone, last=True):
    """Compute gradients of the backward pass: the vjp of a vjp."""
    layer = JaxLayer(case, apply, begin, last)
    with jax.enable_x64(case.x.dtype == np.float64):
        x, dy = given(case.x, last), given(case.dy, last)
        constants = layer.state, dy, vectors_of(case, last), layer.momentum, layer.eps
        by_parameters, dx, ddy = backward_of_backward(apply, layer.parameters, x, *constants, training=case.training)
        results = {"ddy": found(ddy, last), "dx": found(dx, last)}
        return results | ({"dweight": np.asarray(by_parameters["weight"])} if case.weight is not None else {})


def forward_mode(case, apply, begin=statistics_alone, last=True):
    """Compute the tangent of y for a case."""
    layer = JaxLayer(case, apply, begin, last)
    with jax.enable_x64(case.x.dtype == np.float64):
        x = given(case.x, last)
        constants = layer.state, vectors_of(case, last), layer.momentum, layer.eps
        return {"y_tangent": found(tangent(apply, layer.parameters, x, *constants, training=case.training), last)}


def over_devices(*cases, apply, begin=statistics_alone, last=True):
    """Run one step of a layer that averages over the axis "devices", one case on each."""
    layer = JaxLayer(cases[0], apply, begin, last)
    with jax.enable_x64(cases[0].x.dtype == np.float64):
        x = np.stack([given(case.x, last) for case in cases])
        dy = np.stack([given(np.zeros_like(case.x) if case.dy is None else case.dy, last) for case in cases])
        parameters = {name: np.stack([array] * len(cases)) for name, array in layer.parameters.items()}
        y, (mean, var, *_), (by_parameters, dx) = step_on_each(
            apply, parameters, x, layer.state, dy, layer.momentum, layer.eps
        )
        results = []
        for i, case in enumerate(cases):
            result = {"y": found(y[i], last), "running_mean": np.asarray(mean[i]), "running_var": np.asarray(var[i])}
            if case.dy is not None:
                result |= {"dx": found(dx[i], last)} | {f"d{k}": np.asarray(one[i]) for k, one in by_parameters.items()}
            results.append(result)
        return results


@partial(jax.jit, static_argnames=("apply",))
def step_on_each(apply, parameters, x, state, dy, momentum, eps):
    """Run forward and backward pass of stacked shards: each on its own device if there are enough, else with vmap."""

    def forward(parameters, x):
        return apply(parameters, x, state, momentum, eps, True, axis_name="devices")

    def on_one(parameters, x):
        parameters, x = jax.tree.map(lambda leaf: leaf[0], (parameters, x))
        return jax.tree.map(lambda leaf: leaf[None], forward(parameters, x))

    many, devices = jax.vmap(forward, axis_name="devices"), jax.devices()
    if len(devices) >= len(x):  # as with XLA_FLAGS=--xla_force_host_platform_device_count=2
        mesh, spec = jax.sharding.Mesh(np.array(devices[: len(x)]), ("devices",)), jax.P("devices")
        many = jax.shard_map(on_one, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    y, pullback, new = jax.vjp(many, parameters, x, has_aux=True)
    return y, new, pullback(dy.astype(y.dtype))
