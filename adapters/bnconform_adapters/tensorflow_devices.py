"""TensorFlow on several devices: a MirroredStrategy over logical CPUs, a replica for each shard of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last, channels_second


@cache
def mirrored(replicas: int) -> Any:
    """A strategy of so many replicas, kept: another one would number its collective operations from the start again.

    Raises
    ------
    RuntimeError
        TensorFlow was used before it could be told to have so many CPUs.
    """
    tf = import_framework("tensorflow")
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < replicas:
        raise RuntimeError(f"TensorFlow has {len(devices)} logical CPUs here, and {replicas} replicas need one each")
    return tf.distribute.MirroredStrategy([device.name for device in devices[:replicas]])


def run_mirrored(
    cases: Sequence[Case], strategy: Any, function: Callable[[Any], Any], sources: Mapping[str, Any]
) -> list[Outcome]:
    """Forward and backward on each replica with its own case's x and dy; without the statistics.

    Parameters
    ----------
    function : callable
        y from x, channels last.
    sources : mapping of str to tensor or variable
        Parameters to differentiate by, under the names of their gradients.
    """
    tf = import_framework("tensorflow")

    def spread(arrays: Sequence[AnyArray]) -> Any:
        given = [tf.constant(channels_last(array)) for array in arrays]
        return strategy.experimental_distribute_values_from_function(
            lambda replica: given[replica.replica_id_in_sync_group]
        )

    def step(x: Any, dy: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, {"dx": x, **sources}, output_gradients=dy, unconnected_gradients="zero")

    dys = [np.zeros_like(case.x) if case.dy is None else case.dy for case in cases]
    y, gradients = strategy.run(step, args=(spread([case.x for case in cases]), spread(dys)))
    found = {name: strategy.experimental_local_results(parts) for name, parts in gradients.items()}
    outcomes = []
    for i, (case, own) in enumerate(zip(cases, strategy.experimental_local_results(y), strict=True)):
        by_name: dict[str, Any] = {}
        if case.dy is not None:
            by_name = {name: parts[i].numpy() for name, parts in found.items() if name != "dx"}
            by_name["dx"] = channels_second(found["dx"][i])
        outcomes.append(Outcome(channels_second(own), **by_name))
    return outcomes
