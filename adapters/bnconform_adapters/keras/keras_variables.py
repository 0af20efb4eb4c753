"""Keras 2 or 3 on TensorFlow: a layer whose parameters and statistics are variables."""

from functools import cache

import numpy as np
import tensorflow as tf

from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.tensorflow.tensorflow_tapes import rest_of_call


class VariablesLayer:
    """A Keras layer that is built here, with the case's parameters and statistics assigned."""

    def __init__(self, case, layer):
        self.layer = layer
        layer.build((None,) * (case.x.ndim - 1) + (case.x.shape[1],))
        given = {"weight": (layer.gamma, case.weight), "bias": (layer.beta, case.bias)}
        statistics = (layer.moving_mean, case.running_mean), (layer.moving_variance, case.running_var)
        for variable, array in (*given.values(), *statistics):
            if array is not None:
                variable.assign(array)
        self.parameters = {name: self.tensor(one) for name, (one, array) in given.items() if array is not None}

    def tensor(self, variable):
        """Return TensorFlow's own variable."""
        return variable

    def function(self, training):
        """Return y as a function of x."""
        return lambda x: self.layer(x, training=training)

    def forward(self, case):
        x = tf.constant(channels_last(case.x))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = self.layer(x, training=case.training)
        mean, var = self.layer.moving_mean.numpy(), self.layer.moving_variance.numpy()
        return rest_of_call(case, tape, x, y, self.parameters, mean, var)


@cache
def mirrored(replicas):
    """Return a strategy with a logical CPU for each replica; a second strategy would reuse the collectives' numbers."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    if len(tf.config.list_logical_devices("CPU")) < replicas:
        raise RuntimeError("TensorFlow was used before its CPU was split into two logical CPUs")
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def over_replicas(build, *cases):
    """Run one step of a synchronized layer under a MirroredStrategy, one case on each replica."""
    strategy = mirrored(len(cases))
    with strategy.scope():
        built = build(cases[0], synchronized=True)

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
