"""tf.nn.moments and tf.nn.batch_normalization."""

from functools import partial

import numpy as np
import tensorflow as tf

from bnconform_adapters.plain.channels import channels_last
from bnconform_adapters.plain.signatures import default_of
from bnconform_adapters.tensorflow.tensorflow_tapes import layer_forward_mode, layer_twice, moved, rest_of_call


class Layer:
    """The tensors and statistics that a caller stores between calls."""

    def __init__(self, case):
        self.eps, self.momentum = case.eps, case.momentum
        self.mean, self.var = case.running_mean, case.running_var
        given = {"weight": case.weight, "bias": case.bias}
        self.parameters = {name: tf.constant(array) for name, array in given.items() if array is not None}

    def call(self, x, training):
        mean, var = tf.nn.moments(x, list(range(len(x.shape) - 1))) if training else (self.mean, self.var)
        offset, scale = self.parameters.get("bias"), self.parameters.get("weight")
        return tf.nn.batch_normalization(x, mean, var, offset, scale, self.eps), mean, var

    def function(self, training):
        """Return y as a function of x."""
        return lambda x: self.call(x, training)[0]

    def forward(self, case):
        x = tf.constant(channels_last(case.x))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, *self.parameters.values()])
            y, mean, var = self.call(x, case.training)
        if case.training:  # momentum weighs the new batch
            self.mean = np.array(moved(self.mean, mean, self.momentum))
            self.var = np.array(moved(self.var, var, self.momentum))
        return rest_of_call(case, tape, x, y, self.parameters, self.mean, self.var)


second_order = partial(layer_twice, Layer)
jvp = partial(layer_forward_mode, Layer)


def defaults():
    """Return the default eps; neither function has other defaults."""
    eps = default_of(tf.nn.batch_normalization, "variance_epsilon")
    return {"made": "tf.nn.moments and tf.nn.batch_normalization", "eps": eps}
