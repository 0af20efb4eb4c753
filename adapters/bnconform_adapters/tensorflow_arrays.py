"""What the TensorFlow adapters share: gradients from a tape, and arrays back in canonical axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last, channels_second

Call: TypeAlias = Callable[..., tuple[Any, Any, Any]]
"""A batch norm as a function of tensors, channels last.

``call(x, parameters, mean, var, *, momentum, eps, training)`` gives y, and the running mean and variance after it;
momentum weighs the new batch.
"""


def averaged(old: tuple[Any, Any], batch: tuple[Any, Any], momentum: Any, training: bool) -> tuple[Any, Any]:
    """Running mean and variance as a caller moves them, each in its own shape, which a tf.Variable would keep.

    Raises
    ------
    ValueError, InvalidArgumentError
        The batch's have another length. They are not broadcast: that would be the caller's fault, not TensorFlow's.
    """
    tf = import_framework("tensorflow")

    if not training:
        return old
    moved = ((1 - momentum) * before + momentum * new for before, new in zip(old, batch, strict=True))
    mean, var = (tf.ensure_shape(new, before.shape) for before, new in zip(old, moved, strict=True))
    return mean, var


def parameters_of(case: Case) -> dict[str, Any]:
    """Those that are present, under the names of the Case's fields."""
    tf = import_framework("tensorflow")

    given = {"weight": case.weight, "bias": case.bias}
    return {name: tf.constant(array) for name, array in given.items() if array is not None}


@dataclass(frozen=True)
class EagerAdapter:
    """A batch norm that is called eagerly.

    Attributes
    ----------
    name : str
    claims : Claims
    call : Call
    """

    name: str
    claims: Claims
    call: Call

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        tf = import_framework("tensorflow")

        function, parameters = self._function(case)
        state = {"mean": case.running_mean, "var": case.running_var}

        def step(case: Case) -> Finish:
            x = tf.constant(channels_last(case.x))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([x, *parameters.values()])
                y, mean, var = function(x, state["mean"], state["var"], case.training)
            if case.training:
                state["mean"], state["var"] = np.array(mean), np.array(var)
            return finish_with_tape(case, tape, x, y, parameters, (state["mean"], state["var"]))

        return step

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        function, parameters = self._function(case)
        return second_order(
            case, lambda x: function(x, case.running_mean, case.running_var, case.training)[0], parameters
        )

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        function, parameters = self._function(case)
        return jvp(case, lambda x: function(x, case.running_mean, case.running_var, case.training)[0], parameters)

    def _function(self, case: Case) -> tuple[Callable[..., tuple[Any, Any, Any]], dict[str, Any]]:
        """The call with the case's parameters, eps and momentum; and the parameters."""
        parameters = parameters_of(case)

        def function(x: Any, mean: Any, var: Any, training: bool) -> tuple[Any, Any, Any]:
            return self.call(x, parameters, mean, var, momentum=case.momentum, eps=case.eps, training=training)

        return function, parameters


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
    found = outer.gradient(gradients, sources, output_gradients=vectors(case), unconnected_gradients="zero")
    dweight = np.array(found["dweight"]) if "dweight" in found else None
    return Outcome(ddy=channels_second(found["ddy"]), dx=channels_second(found["dx"]), dweight=dweight)


def jvp(case: Case, function: Callable[[Any], Any], parameters: Mapping[str, Any]) -> Outcome:
    """The tangent of y, by a forward accumulator; arguments as :func:`second_order`."""
    tf = import_framework("tensorflow")

    x, tangents = tf.constant(channels_last(case.x)), vectors(case)
    primals = {"dx": x, **{f"d{name}": value for name, value in parameters.items()}}
    with tf.autodiff.ForwardAccumulator(list(primals.values()), [tangents[name] for name in primals]) as accumulator:
        y = function(x)
    return Outcome(y_tangent=channels_second(accumulator.jvp(y, unconnected_gradients="zero")))


def vectors(case: Case) -> dict[str, Any]:
    """ddx, channels last, ddweight and ddbias by the names of what they are contracted with."""
    tf = import_framework("tensorflow")

    return {k: tf.constant(channels_last(v) if k == "dx" else v) for k, v in case.cotangents.items()}
