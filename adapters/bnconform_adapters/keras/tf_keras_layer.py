"""tf_keras.layers.BatchNormalization: Keras 2."""

from functools import partial

import tf_keras

from bnconform_adapters.keras.keras_arguments import arguments_of
from bnconform_adapters.keras.keras_variables import VariablesLayer, over_replicas
from bnconform_adapters.tensorflow.tensorflow_tapes import layer_forward_mode, layer_twice


class Layer(VariablesLayer):
    """A Keras 2 layer with the case's parameters and statistics."""

    def __init__(self, case, **arguments):
        super().__init__(case, tf_keras.layers.BatchNormalization(**arguments_of(case), **arguments))


second_order = partial(layer_twice, Layer)
jvp = partial(layer_forward_mode, Layer)
shards = partial(over_replicas, Layer)


def defaults():
    """Return the defaults of the layer, and the function that trains it."""
    layer = tf_keras.layers.BatchNormalization()
    layer.build((None, 4, 4))
    return {
        "made": "tf_keras.layers.BatchNormalization()",
        "eps": layer.epsilon,
        "momentum": layer.momentum,
        "mean": layer.moving_mean.numpy()[0],
        "variance": layer.moving_variance.numpy()[0],
        "train": lambda x: layer(x, training=True).numpy(),
    }
