"""TensorFlow: compute gradients with tapes, channels last."""

import numpy as np
import tensorflow as tf

from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.plain.cotangents import cotangents


def moved(old, batch, momentum):
    """Update a running statistic as a caller does; its shape must stay, as in a tf.Variable."""
    return tf.ensure_shape((1 - momentum) * old + momentum * batch, old.shape)


def rest_of_call(case, tape, x, y, parameters, mean, var):
    """Return a function that runs the backward pass and returns the results of both passes."""
    results = {"y": channels_second(y), "running_mean": mean, "running_var": var}

    def finish():
        after = {"x after": channels_second(x)}
        after |= {f"{name} after": np.array(parameter) for name, parameter in parameters.items()}
        if case.dy is None:
            return results | after
        dy = tf.constant(channels_last(case.dy))
        sources = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
        found = tape.gradient(y, sources, output_gradients=dy, unconnected_gradients="zero")
        found = {name: gradient.numpy() for name, gradient in found.items()}
        found["dx"] = channels_second(found["dx"])
        return results | found | after | {"dy after": channels_second(dy)}

    return finish


def vectors(case):
    """Return ddx (channels last), ddweight and ddbias, or zeros, as dx, dweight and dbias."""
    return {k: tf.constant(channels_last(one) if k == "dx" else one) for k, one in cotangents(case).items()}


def twice(case, function, parameters):
    """Differentiate sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight."""
    x, dy = tf.constant(channels_last(case.x)), tf.constant(channels_last(case.dy))
    inputs = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
    sources = {"ddy": dy} | {name: one for name, one in inputs.items() if name != "dbias"}
    with tf.GradientTape() as outer:
        outer.watch(list(sources.values()))
        with tf.GradientTape() as inner:
            inner.watch(list(inputs.values()))
            y = function(x)
        once = inner.gradient(y, inputs, output_gradients=dy, unconnected_gradients="zero")
    found = outer.gradient(once, sources, output_gradients=vectors(case), unconnected_gradients="zero")
    return {name: one.numpy() if name == "dweight" else channels_second(one) for name, one in found.items()}


def forward_mode(case, function, parameters):
    """Compute the tangent of y, for ddx, ddweight and ddbias as tangents of x, weight and bias."""
    inputs = {"dx": tf.constant(channels_last(case.x))} | {f"d{name}": one for name, one in parameters.items()}
    tangents = list(vectors(case).values())
    with tf.autodiff.ForwardAccumulator(list(inputs.values()), tangents) as accumulator:
        y = function(inputs["dx"])
    return {"y_tangent": channels_second(accumulator.jvp(y, unconnected_gradients="zero"))}


def layer_twice(build, case):
    """Differentiate the backward pass of a new layer, see `twice`."""
    layer = build(case)
    return twice(case, layer.function(case.training), layer.parameters)


def layer_forward_mode(build, case):
    """Compute the tangent of y of a new layer, see `forward_mode`."""
    layer = build(case)
    return forward_mode(case, layer.function(case.training), layer.parameters)
