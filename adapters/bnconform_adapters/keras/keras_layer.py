"""keras.layers.BatchNormalization, on any backend."""

import keras


def new_layer(backend, **arguments):
    """Return a layer that is not built yet; raise if Keras, which has one backend in a process, runs on another."""
    if (found := keras.backend.backend()) != backend:
        raise RuntimeError(f"Keras runs on {found} here; set KERAS_BACKEND={backend}")
    return keras.layers.BatchNormalization(**arguments)


def defaults():
    """Return the defaults of the layer, and the function that trains it."""
    layer, array = keras.layers.BatchNormalization(), keras.ops.convert_to_numpy
    layer.build((None, 4, 4))
    return {
        "made": "keras.layers.BatchNormalization()",
        "eps": layer.epsilon,
        "momentum": layer.momentum,
        "mean": array(layer.moving_mean)[0],
        "variance": array(layer.moving_variance)[0],
        "train": lambda x: array(layer(x, training=True)),
    }
