"""keras.layers.BatchNormalization on TensorFlow."""

import keras
import tensorflow as tf

from bnconform_adapters.plain.tensorflow_tapes import channels_last, forward_mode, rest_of_call, twice


class Layer:
    """The layer, with the case's parameters and statistics assigned."""

    def __init__(self, case):
        half = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
        self.layer = layer = keras.layers.BatchNormalization(
            momentum=1 - case.momentum,  # which weighs the new batch here, the old statistics in Keras
            epsilon=case.eps,
            center=case.bias is not None,
            scale=case.weight is not None,
            dtype=half.get(case.x.dtype.name, case.x.dtype.name),
        )
        layer.build((None,) * (case.x.ndim - 1) + (case.x.shape[1],))
        if case.weight is not None:
            layer.gamma.assign(case.weight)
        if case.bias is not None:
            layer.beta.assign(case.bias)
        layer.moving_mean.assign(case.running_mean)
        layer.moving_variance.assign(case.running_var)
        given = {"weight": (case.weight, layer.gamma), "bias": (case.bias, layer.beta)}
        self.parameters = {name: variable.value for name, (array, variable) in given.items() if array is not None}

    def forward(self, case):
        x = tf.constant(channels_last(case.x))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = self.layer(x, training=case.training)
        mean, var = self.layer.moving_mean.numpy(), self.layer.moving_variance.numpy()
        return rest_of_call(case, tape, x, y, self.parameters, mean, var)


def second_order(case):
    built = Layer(case)
    return twice(case, lambda x: built.layer(x, training=case.training), built.parameters)


def jvp(case):
    built = Layer(case)
    return forward_mode(case, lambda x: built.layer(x, training=case.training), built.parameters)
