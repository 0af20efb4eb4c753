"""Population statistics of Flax models: linen modules with their variables, and nnx modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bnconform_adapters.population.settling import Record, inputs_of
from bnconform_reference.running_statistics import Moments

SEPARATOR = "/"


def is_linen(model: Any) -> bool:
    """Return True if a Flax module belongs to linen, not to nnx."""
    from flax import linen

    return isinstance(model, linen.Module)


def _add(name: str, x: Any, axis: Any, record: Record, mask: Any) -> None:
    """Record an input without its masked values; raise under a transformation, where the input has no values."""
    import jax

    if not isinstance(axis, int):
        raise ValueError(f"batch norm {name!r} has features on axes {axis}; only one axis of channels is supported")
    if isinstance(x, jax.core.Tracer):
        raise ValueError(f"batch norm {name!r} is called inside a transformation, such as jit or scan; call it without")
    rows = np.moveaxis(np.asarray(x), axis, -1)
    if mask is not None:
        used = np.moveaxis(np.broadcast_to(np.asarray(mask, bool), x.shape), axis, -1)
        if (used != used[..., :1]).any():
            raise ValueError(f"batch norm {name!r} has a mask that differs between channels; only one for all works")
        rows = rows[used[..., 0]]
    record.add(name, rows.reshape(-1, rows.shape[-1]))


class LinenPopulations:
    """See :class:`~bnconform_adapters.population.settling.Populations`."""

    def __init__(self, forward: Callable[[Any, Any], object] | None, variables: Any) -> None:
        if forward is None or variables is None:
            raise ValueError(
                "a linen module needs its variables and a function that applies it; pass variables=..., "
                "forward=lambda variables, inputs: model.apply(variables, inputs, train=False)"
            )
        self._forward, self._variables = forward, dict(variables)
        self._paths = dict(_paths(self._variables.get("batch_stats", {}), ()))

    def names(self) -> list[str]:
        """See the protocol."""
        return list(self._paths)

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """See the protocol."""
        from flax import linen

        def intercept(call: Any, arguments: Any, named: Any, context: Any) -> Any:
            module = context.module
            if isinstance(module, linen.BatchNorm) and context.method_name == "__call__":
                name = SEPARATOR.join(module.path)
                given = named.get("use_running_average", arguments[1] if len(arguments) > 1 else None)
                if not (module.use_running_average if given is None else given):
                    raise ValueError(
                        f"batch norm {name!r} is called in training mode; let forward apply the module in "
                        "inference mode, for example with train=False"
                    )
                _add(name, arguments[0] if arguments else named["x"], module.axis, record, named.get("mask"))
            return call(*arguments, **named)

        with linen.intercept_methods(intercept):
            for batch in batches:
                self._forward(self._variables, inputs_of(batch))

    def store(self, name: str, population: Moments) -> None:
        """See the protocol; the variance is biased, as Flax's is."""
        path = self._paths[name]
        statistics = {"mean": population.mean, "var": population.variance()}
        self._variables["batch_stats"] = _with(self._variables["batch_stats"], path, statistics)

    def result(self) -> Any:
        """See the protocol."""
        return self._variables


def _paths(tree: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the name and the keys of each pair of statistics in the collection."""
    if {"mean", "var"} <= set(tree) and not isinstance(tree["mean"], Mapping):
        return [(SEPARATOR.join(path), path)]
    return [found for key, below in tree.items() if isinstance(below, Mapping) for found in _paths(below, (*path, key))]


def _with(tree: Mapping[str, Any], path: tuple[str, ...], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the collection, with new statistics at `path`."""
    import jax

    if path:
        return {**tree, path[0]: _with(tree[path[0]], path[1:], statistics)}
    return {**tree, **{key: jax.numpy.asarray(value, tree[key].dtype) for key, value in statistics.items()}}


class NNXPopulations:
    """See :class:`~bnconform_adapters.population.settling.Populations`."""

    def __init__(self, model: Any, forward: Callable[[Any, Any], object] | None) -> None:
        from flax import nnx

        self._model = model
        self._forward = forward or (lambda model, batch: model(inputs_of(batch)))
        # A copy runs the forward passes, so the model's modes and random streams do not change.
        self._copy = nnx.clone(model)
        self._copy.eval()
        self._norms, self._copies = _norms(model), _norms(self._copy)

    def names(self) -> list[str]:
        """See the protocol."""
        return list(self._norms)

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """See the protocol."""
        from flax import nnx

        original, names = nnx.BatchNorm.__call__, {id(norm): name for name, norm in self._copies.items()}

        def call(norm: Any, x: Any, *arguments: Any, **named: Any) -> Any:
            if id(norm) in names:
                _add(names[id(norm)], x, norm.axis, record, named.get("mask"))
            return original(norm, x, *arguments, **named)

        nnx.BatchNorm.__call__ = call
        try:
            for batch in batches:
                self._forward(self._copy, batch)
        finally:
            nnx.BatchNorm.__call__ = original

    def store(self, name: str, population: Moments) -> None:
        """See the protocol; the variance is biased, as Flax's is."""
        for norm in (self._norms[name], self._copies[name]):
            norm.mean[...] = population.mean.astype(norm.mean[...].dtype)
            norm.var[...] = population.variance().astype(norm.var[...].dtype)

    def result(self) -> Any:
        """See the protocol."""
        return self._model


def _norms(model: Any) -> dict[str, Any]:
    """Return the batch norms of a module by their paths."""
    from flax import nnx

    return {
        SEPARATOR.join(map(str, path)) or "BatchNorm": node
        for path, node in nnx.iter_graph(model)
        if isinstance(node, nnx.BatchNorm)
    }
