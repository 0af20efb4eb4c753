"""Population statistics of keras.Model, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.population.settling import Record, inputs_of
from bnconform_reference.running_statistics import Moments


class KerasPopulations:
    """See :class:`~bnconform_adapters.population.settling.Populations`."""

    def __init__(self, model: Any, forward: Callable[[Any, Any], object] | None) -> None:
        keras = import_framework("keras")

        self._model = model
        self._forward = forward or (lambda model, batch: model(inputs_of(batch), training=False))
        layers = [model, *model._flatten_layers(include_self=False)]
        self._norms: dict[str, Any] = {}
        for layer in layers:
            if not isinstance(layer, keras.layers.BatchNormalization):
                continue
            if not layer.built:
                raise ValueError(f"batch norm {layer.name!r} is not built; call the model once before")
            name = layer.path  # not unique: parts of a model may have the same name
            self._norms[f"{name} ({len(self._norms)})" if name in self._norms else name] = layer

    def names(self) -> list[str]:
        """See the protocol."""
        return list(self._norms)

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """See the protocol; the model is called eagerly."""
        with ExitStack() as stack:
            for name, layer in self._norms.items():
                stack.enter_context(_recording(layer, name, record))
            for batch in batches:
                self._forward(self._model, batch)

    def store(self, name: str, population: Moments) -> None:
        """See the protocol; the variance is biased, as Keras' moving variance is."""
        layer = self._norms[name]
        layer.moving_mean.assign(population.mean.astype(layer.moving_mean.dtype))
        layer.moving_variance.assign(population.variance().astype(layer.moving_variance.dtype))

    def result(self) -> Any:
        """See the protocol."""
        return self._model


@contextmanager
def _recording(layer: Any, name: str, record: Record) -> Iterator[None]:
    """Record a layer's inputs without their masked values, as in the layer's own statistics."""
    keras = import_framework("keras")

    original = layer.call

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        x = np.moveaxis(np.asarray(keras.ops.convert_to_numpy(inputs)), layer.axis, -1)
        if mask is not None:
            x = x[np.broadcast_to(np.asarray(keras.ops.convert_to_numpy(mask), bool), x.shape[:-1])]
        record.add(name, x.reshape(-1, x.shape[-1]))
        return original(inputs, training=training, mask=mask)

    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        object.__delattr__(layer, "call")
