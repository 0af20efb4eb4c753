"""tf.compat.v1.nn.fused_batch_norm: a tf.function runs the whole step, and XLA may compile it."""

from functools import cache

import numpy as np
import tensorflow as tf

from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.tensorflow.tensorflow_tapes import moved, vectors
from bnconform_adapters.tensorflow.tf_fused import defaults, fused_batch_norm


def normalized(x, parameters, mean, var, momentum, eps, training):
    """Return y and the running statistics; momentum weighs the new batch.

    The caller updates the statistics: the function's own factor is an attribute, so each value would compile again.
    """
    if not training:
        return fused_batch_norm(x, parameters, mean, var, eps, training)[0], mean, var
    y, batch_mean, batch_var = fused_batch_norm(x, parameters, None, None, eps, training)
    return y, moved(mean, batch_mean, momentum), moved(var, batch_var, momentum)


def inputs_of(x, parameters):
    return {"dx": x} | {f"d{name}": tensor for name, tensor in parameters.items()}


@cache
def forward_and_backward(eps, training, xla):
    @tf.function(jit_compile=xla, autograph=False)
    def step(x, parameters, mean, var, dy, momentum):
        inputs = inputs_of(x, parameters)
        with tf.GradientTape() as tape:
            tape.watch(list(inputs.values()))
            y, mean, var = normalized(x, parameters, mean, var, momentum, eps, training)
        return y, mean, var, tape.gradient(y, inputs, output_gradients=dy)

    return step


@cache
def backward_of_backward(eps, training, xla):
    @tf.function(jit_compile=xla, autograph=False)
    def step(x, parameters, mean, var, dy, momentum, given):
        inputs = inputs_of(x, parameters)
        sources = {"ddy": dy} | {name: tensor for name, tensor in inputs.items() if name != "dbias"}
        with tf.GradientTape() as outer:
            outer.watch(list(sources.values()))
            with tf.GradientTape() as inner:
                inner.watch(list(inputs.values()))
                y = normalized(x, parameters, mean, var, momentum, eps, training)[0]
            once = inner.gradient(y, inputs, output_gradients=dy)
        return outer.gradient(once, sources, output_gradients=given, unconnected_gradients="zero")

    return step


@cache
def tangent(eps, training, xla):
    @tf.function(jit_compile=xla, autograph=False)
    def step(x, parameters, mean, var, momentum, given):
        inputs = inputs_of(x, parameters)
        tangents = [given[name] for name in inputs]
        with tf.autodiff.ForwardAccumulator(list(inputs.values()), tangents) as accumulator:
            y = normalized(x, parameters, mean, var, momentum, eps, training)[0]
        return accumulator.jvp(y)

    return step


class CompiledLayer:
    """The tensors that a caller stores between calls of a compiled step."""

    def __init__(self, case, xla):
        self.xla, self.eps, self.momentum = xla, case.eps, tf.constant(case.momentum, tf.float32)
        self.mean, self.var = tf.constant(case.running_mean), tf.constant(case.running_var)
        self.parameters = {"weight": tf.constant(case.weight), "bias": tf.constant(case.bias)}

    def forward(self, case):
        x = tf.constant(channels_last(case.x))
        dy = tf.constant(channels_last(np.zeros_like(case.x) if case.dy is None else case.dy))
        step = forward_and_backward(self.eps, case.training, self.xla)
        y, self.mean, self.var, gradients = step(x, self.parameters, self.mean, self.var, dy, self.momentum)
        results = {"y": channels_second(y), "running_mean": self.mean.numpy(), "running_var": self.var.numpy()}
        results |= {"x after": channels_second(x)}
        results |= {f"{name} after": tensor.numpy() for name, tensor in self.parameters.items()}
        if case.dy is not None:
            results |= {name: gradient.numpy() for name, gradient in gradients.items()}
            results |= {"dx": channels_second(gradients["dx"]), "dy after": channels_second(dy)}
        return lambda: results


def differentiate_twice(case, xla):
    layer = CompiledLayer(case, xla)
    x, dy = tf.constant(channels_last(case.x)), tf.constant(channels_last(case.dy))
    given = vectors(case)
    step = backward_of_backward(case.eps, case.training, xla)
    found = step(x, layer.parameters, layer.mean, layer.var, dy, layer.momentum, given)
    return {name: one.numpy() if name == "dweight" else channels_second(one) for name, one in found.items()}


def compiled_forward_mode(case, xla):
    layer = CompiledLayer(case, xla)
    x = tf.constant(channels_last(case.x))
    given = vectors(case)
    step = tangent(case.eps, case.training, xla)
    return {"y_tangent": channels_second(step(x, layer.parameters, layer.mean, layer.var, layer.momentum, given))}


def defaults_of_step():
    """Return the function's defaults; momentum is None because the caller updates the statistics."""
    return defaults() | {"momentum": None}
