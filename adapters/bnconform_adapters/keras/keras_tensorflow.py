"""keras.layers.BatchNormalization on TensorFlow."""

from functools import cache
from itertools import count

import keras
import numpy as np
import tensorflow as tf

from bnconform_adapters.keras.keras_layer import defaults as defaults
from bnconform_adapters.keras.keras_layer import new_layer
from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.tensorflow.tensorflow_tapes import forward_mode, rest_of_call, twice

LAYERS_KEPT = 100
"""Layers until Keras is asked to forget them: TensorFlow keeps kernels for each variable's name, 150 kB a layer."""
LAYERS_BUILT = count(1)


class Layer:
    """The layer, with the case's parameters and statistics assigned."""

    def __init__(self, case, synchronized=False):
        if not synchronized and next(LAYERS_BUILT) % LAYERS_KEPT == 0:
            keras.backend.clear_session(free_memory=False)
        self.layer = layer = new_layer(
            case.x.dtype.name,
            "tensorflow",
            momentum=1 - case.momentum,  # which weighs the new batch here, the old statistics in Keras
            epsilon=case.eps,
            center=case.bias is not None,
            scale=case.weight is not None,
            synchronized=synchronized,
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


@cache
def mirrored(replicas):
    """A strategy with a logical CPU for each replica; a second one would number its collective operations anew."""
    if len(tf.config.list_logical_devices("CPU")) < replicas:
        raise RuntimeError("TensorFlow was used before it was told to have two CPUs")
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def shards(*cases):
    """A step under a MirroredStrategy, a case on each replica."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = mirrored(len(cases))
    with strategy.scope():
        built = Layer(cases[0], synchronized=True)

    def spread(arrays):
        given = [tf.constant(channels_last(array)) for array in arrays]
        return strategy.experimental_distribute_values_from_function(
            lambda replica: given[replica.replica_id_in_sync_group]
        )

    def step(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = built.layer(x, training=True)
        sources = {"dx": x} | {f"d{name}": parameter for name, parameter in built.parameters.items()}
        return y, tape.gradient(y, sources, output_gradients=dy, unconnected_gradients="zero")

    dys = [np.zeros_like(case.x) if case.dy is None else case.dy for case in cases]
    y, gradients = strategy.run(step, args=(spread([case.x for case in cases]), spread(dys)))
    each, results = strategy.experimental_local_results, []
    for i, case in enumerate(cases):
        result = {"y": channels_second(each(y)[i])}
        result |= {"running_mean": built.layer.moving_mean.numpy(), "running_var": built.layer.moving_variance.numpy()}
        if case.dy is not None:
            result |= {name: each(parts)[i].numpy() for name, parts in gradients.items()}
            result["dx"] = channels_second(each(gradients["dx"])[i])
        results.append(result)
    return results
