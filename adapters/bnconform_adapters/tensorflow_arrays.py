"""What the TensorFlow adapters share: gradients from a tape, and arrays back in canonical axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Finish, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last, channels_second


def finish_with_tape(
    case: Case,
    tape: Any,
    x: Any,
    y: Any,
    parameters: Mapping[str, Any],
    statistics: tuple[AnyArray | None, AnyArray | None],
) -> Finish:
    """What is left to do when y is there.

    Parameters
    ----------
    tape : tf.GradientTape
        Persistent, so that a backward pass can be run again.
    x, y : tf.Tensor, channels last
    parameters : mapping of str to tf.Tensor
        Those that are present, under the names of the Case's fields.
    statistics : two arrays or None
        Running mean and variance after the call.
    """
    tf = import_framework("tensorflow")

    def finish() -> Outcome:
        inputs = {"x": channels_second(x)} | {name: np.array(value) for name, value in parameters.items()}
        found: dict[str, Any] = {}
        if case.dy is not None:
            dy = tf.constant(channels_last(case.dy))
            sources = {"dx": x} | {f"d{name}": value for name, value in parameters.items()}
            found = tape.gradient(y, sources, output_gradients=dy, unconnected_gradients="zero")
            found = {k: channels_second(v) if k == "dx" else np.array(v) for k, v in found.items()}
            inputs["dy"] = channels_second(dy)
        return Outcome(
            y=channels_second(y), running_mean=statistics[0], running_var=statistics[1], **found, inputs_after=inputs
        )

    return finish


def second_order(case: Case, function: Callable[[Any], Any], parameters: Mapping[str, Any]) -> Outcome:
    """Gradients of the backward pass, by a tape around a tape.

    Parameters
    ----------
    function : callable
        y from x, channels last.
    parameters : mapping of str to tensor or variable
        Those that are present, under the names of the Case's fields.
    """
    tf = import_framework("tensorflow")

    assert case.dy is not None
    x, dy = (tf.constant(channels_last(array)) for array in (case.x, case.dy))
    inputs = {"dx": x, **{f"d{name}": value for name, value in parameters.items()}}
    sources = {"ddy": dy, **{name: value for name, value in inputs.items() if name != "dbias"}}
    with tf.GradientTape() as outer:
        outer.watch(list(sources.values()))
        with tf.GradientTape() as inner:
            inner.watch(list(inputs.values()))
            y = function(x)
        gradients = inner.gradient(y, inputs, output_gradients=dy, unconnected_gradients="zero")
    found = outer.gradient(gradients, sources, output_gradients=_vectors(case), unconnected_gradients="zero")
    dweight = np.array(found["dweight"]) if "dweight" in found else None
    return Outcome(ddy=channels_second(found["ddy"]), dx=channels_second(found["dx"]), dweight=dweight)


def jvp(case: Case, function: Callable[[Any], Any], parameters: Mapping[str, Any]) -> Outcome:
    """The tangent of y, by a forward accumulator; arguments as :func:`second_order`."""
    tf = import_framework("tensorflow")

    x, vectors = tf.constant(channels_last(case.x)), _vectors(case)
    primals = {"dx": x, **{f"d{name}": value for name, value in parameters.items()}}
    with tf.autodiff.ForwardAccumulator(list(primals.values()), [vectors[name] for name in primals]) as accumulator:
        y = function(x)
    return Outcome(y_tangent=channels_second(accumulator.jvp(y, unconnected_gradients="zero")))


def _vectors(case: Case) -> dict[str, Any]:
    """ddx, channels last, ddweight and ddbias by the names of what they are contracted with."""
    tf = import_framework("tensorflow")

    return {k: tf.constant(channels_last(v) if k == "dx" else v) for k, v in case.cotangents.items()}
