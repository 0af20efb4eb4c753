"""keras.layers.BatchNormalization on TensorFlow."""

from functools import partial
from itertools import count

import keras

from bnconform_adapters.keras.keras_arguments import arguments_of
from bnconform_adapters.keras.keras_layer import defaults as defaults
from bnconform_adapters.keras.keras_layer import new_layer
from bnconform_adapters.keras.keras_variables import VariablesLayer, over_replicas
from bnconform_adapters.tensorflow.tensorflow_tapes import layer_forward_mode, layer_twice

LAYERS_KEPT = 100
"""Number of layers between calls of clear_session: TensorFlow caches kernels by variable name, 150 kB a layer."""
LAYERS_BUILT = count(1)


class Layer(VariablesLayer):
    """A Keras layer with the case's parameters and statistics."""

    def __init__(self, case, **arguments):
        if not arguments and next(LAYERS_BUILT) % LAYERS_KEPT == 0:  # not inside a strategy's scope
            keras.backend.clear_session(free_memory=False)
        super().__init__(case, new_layer("tensorflow", **arguments_of(case), **arguments))

    def tensor(self, variable):
        return variable.value


second_order = partial(layer_twice, Layer)
jvp = partial(layer_forward_mode, Layer)
shards = partial(over_replicas, Layer)
