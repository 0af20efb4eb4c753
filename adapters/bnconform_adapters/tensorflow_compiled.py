"""A batch norm and its derivatives as tf.functions: a training step as a whole, traced or compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome, parameter_dtype
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.memory import channels_last, channels_second
from bnconform_adapters.tensorflow_arrays import Call, parameters_of, vectors


@dataclass(frozen=True)
class CompiledAdapter:
    """A batch norm that is called inside a ``tf.function``.

    Attributes
    ----------
    name : str
    claims : Claims
    call : Call
        eps is a constant of what is compiled, momentum a tensor.
    xla : bool
        Whether XLA compiles it.
    """

    name: str
    claims: Claims
    call: Call
    xla: bool

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        tf = import_framework("tensorflow")

        parameters, momentum, eps = parameters_of(case), _momentum(case), case.eps
        state = tf.constant(case.running_mean), tf.constant(case.running_var)

        def step(case: Case) -> Finish:
            nonlocal state
            x = tf.constant(channels_last(case.x))
            dy = tf.constant(channels_last(np.zeros_like(case.x) if case.dy is None else case.dy))
            whole = _step(self.call, self.xla, eps, case.training)
            y, mean, var, gradients = whole(x, parameters, *state, dy, momentum)
            state = mean, var
            inputs = {"x": channels_second(x)} | {name: np.array(value) for name, value in parameters.items()}
            found: dict[str, Any] = {}
            if case.dy is not None:
                found = {name: np.array(value) for name, value in gradients.items()}
                found["dx"] = channels_second(found["dx"])
                inputs["dy"] = channels_second(dy)
            outcome = Outcome(
                y=channels_second(y),
                running_mean=np.array(mean),
                running_var=np.array(var),
                **found,
                inputs_after=inputs,
            )
            # Forward and backward are one function, and tensors are immutable: nothing is left to do.
            return lambda: outcome

        return step

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        tf = import_framework("tensorflow")

        assert case.dy is not None
        x, dy = (tf.constant(channels_last(array)) for array in (case.x, case.dy))
        whole = _double_backward(self.call, self.xla, case.eps, case.training)
        found = whole(x, parameters_of(case), *_statistics(case), dy, _momentum(case), vectors(case))
        return Outcome(
            ddy=channels_second(found["ddy"]), dx=channels_second(found["dx"]), dweight=np.array(found["dweight"])
        )

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        tf = import_framework("tensorflow")

        x = tf.constant(channels_last(case.x))
        whole = _jvp(self.call, self.xla, case.eps, case.training)
        tangent = whole(x, parameters_of(case), *_statistics(case), _momentum(case), vectors(case))
        return Outcome(y_tangent=channels_second(tangent))


def _statistics(case: Case) -> tuple[Any, Any]:
    tf = import_framework("tensorflow")

    return tf.constant(case.running_mean), tf.constant(case.running_var)


def _momentum(case: Case) -> Any:
    tf = import_framework("tensorflow")

    return tf.constant(case.momentum, parameter_dtype(case.dtype))


@cache
def _step(call: Call, xla: bool, eps: float, training: bool) -> Callable[..., Any]:
    """Forward and backward."""
    tf = import_framework("tensorflow")

    def step(x: Any, parameters: Any, mean: Any, var: Any, dy: Any, momentum: Any) -> Any:
        sources = {"dx": x} | {f"d{name}": value for name, value in parameters.items()}
        with tf.GradientTape() as tape:
            tape.watch(list(sources.values()))
            y, *new = call(x, parameters, mean, var, momentum=momentum, eps=eps, training=training)
        return y, *new, tape.gradient(y, sources, output_gradients=dy)

    return tf.function(step, jit_compile=xla, autograph=False)  # type: ignore[no-any-return]


@cache
def _double_backward(call: Call, xla: bool, eps: float, training: bool) -> Callable[..., Any]:
    """Gradients of the backward pass, by a tape around a tape."""
    tf = import_framework("tensorflow")

    def step(x: Any, parameters: Any, mean: Any, var: Any, dy: Any, momentum: Any, vectors: Any) -> Any:
        inputs = {"dx": x} | {f"d{name}": value for name, value in parameters.items()}
        sources = {"ddy": dy} | {name: value for name, value in inputs.items() if name != "dbias"}
        with tf.GradientTape() as outer:
            outer.watch(list(sources.values()))
            with tf.GradientTape() as inner:
                inner.watch(list(inputs.values()))
                y = call(x, parameters, mean, var, momentum=momentum, eps=eps, training=training)[0]
            gradients = inner.gradient(y, inputs, output_gradients=dy)
        return outer.gradient(gradients, sources, output_gradients=vectors, unconnected_gradients="zero")

    return tf.function(step, jit_compile=xla, autograph=False)  # type: ignore[no-any-return]


@cache
def _jvp(call: Call, xla: bool, eps: float, training: bool) -> Callable[..., Any]:
    """The tangent of y, by a forward accumulator."""
    tf = import_framework("tensorflow")

    def step(x: Any, parameters: Any, mean: Any, var: Any, momentum: Any, vectors: Any) -> Any:
        inputs = {"dx": x} | {f"d{name}": value for name, value in parameters.items()}
        tangents = [vectors[name] for name in inputs]
        with tf.autodiff.ForwardAccumulator(list(inputs.values()), tangents) as accumulator:
            y = call(x, parameters, mean, var, momentum=momentum, eps=eps, training=training)[0]
        return accumulator.jvp(y)

    return tf.function(step, jit_compile=xla, autograph=False)  # type: ignore[no-any-return]
