"""tf.compat.v1.nn.fused_batch_norm."""

from functools import partial

import numpy as np
import tensorflow as tf

from bnconform_adapters.plain.channels import channels_last
from bnconform_adapters.plain.signatures import default_of
from bnconform_adapters.tensorflow.tensorflow_tapes import layer_forward_mode, layer_twice, rest_of_call


def fused_batch_norm(x, parameters, mean, var, eps, training, **factor):
    """Return y and the statistics; the rank of x selects one of TensorFlow's two channels-last formats."""
    return tf.compat.v1.nn.fused_batch_norm(
        x,
        parameters["weight"],
        parameters["bias"],
        mean=mean,
        variance=var,
        epsilon=eps,
        data_format="NHWC" if len(x.shape) == 4 else "NDHWC",
        is_training=training,
        **factor,
    )


class Layer:
    """The arguments that a caller stores between calls."""

    def __init__(self, case):
        self.mean, self.var, self.eps = case.running_mean, case.running_var, case.eps
        self.factor = {"exponential_avg_factor": case.momentum}  # the function itself updates the statistics
        self.parameters = {"weight": tf.constant(case.weight), "bias": tf.constant(case.bias)}

    def call(self, x, training):
        return fused_batch_norm(x, self.parameters, self.mean, self.var, self.eps, training, **self.factor)

    def function(self, training):
        """Return y as a function of x."""
        return lambda x: self.call(x, training)[0]

    def forward(self, case):
        x = tf.constant(channels_last(case.x))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, *self.parameters.values()])
            y, mean, var = self.call(x, case.training)
        if case.training:
            self.mean, self.var = np.array(mean), np.array(var)
        return rest_of_call(case, tape, x, y, self.parameters, self.mean, self.var)


second_order = partial(layer_twice, Layer)
jvp = partial(layer_forward_mode, Layer)


def defaults():
    """Return the function's defaults, and a call that trains."""
    function = tf.compat.v1.nn.fused_batch_norm
    return {
        "made": "tf.compat.v1.nn.fused_batch_norm",
        "eps": default_of(function, "epsilon"),
        "momentum": default_of(function, "exponential_avg_factor"),
        "train": lambda x: function(x, tf.ones(4), tf.zeros(4))[0].numpy(),
        "rank": 4,
    }
