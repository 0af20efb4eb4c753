"""What the JAX adapters share: axes, precision mode, and one compiled step per shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bnconform_adapters.contract import Case, Finish, Layer, Outcome, parameter_dtype
from bnconform_adapters.memory import channels_last, channels_second


class Forward(Protocol):
    """A layer written as a pure function, channels last."""

    def __call__(
        self,
        parameters: Mapping[str, Any],
        x: Any,
        statistics: tuple[Any, Any],
        *,
        momentum: Any,
        eps: Any,
        training: bool,
    ) -> tuple[Any, tuple[Any, Any]]:
        """Return y and the new running mean and variance."""


@dataclass(frozen=True)
class Program:
    """What is made of a layer; each function is compiled per shape and mode, with eps and momentum traced."""

    step: Callable[..., Any]
    """Forward and backward."""
    double_backward: Callable[..., Any]
    jvp: Callable[..., Any]


def compiled(forward: Forward) -> Program:
    """Compile a layer and its derivatives."""
    import jax

    def step(
        parameters: Any, x: Any, statistics: Any, dy: Any, momentum: Any, eps: Any, training: bool
    ) -> tuple[Any, Any, Any]:
        def function(parameters: Any, x: Any) -> Any:
            return forward(parameters, x, statistics, momentum=momentum, eps=eps, training=training)

        y, pullback, new = jax.vjp(function, parameters, x, has_aux=True)
        return y, new, pullback(dy.astype(y.dtype))

    def double_backward(
        parameters: Any, x: Any, statistics: Any, dy: Any, cotangents: Any, momentum: Any, eps: Any, training: bool
    ) -> Any:
        def gradients(parameters: Any, x: Any, dy: Any) -> Any:
            return step(parameters, x, statistics, dy, momentum, eps, training)[2]

        return jax.vjp(gradients, parameters, x, dy)[1](cotangents)

    def jvp(parameters: Any, x: Any, statistics: Any, tangents: Any, momentum: Any, eps: Any, training: bool) -> Any:
        def function(parameters: Any, x: Any) -> Any:
            return forward(parameters, x, statistics, momentum=momentum, eps=eps, training=training)[0]

        return jax.jvp(function, (parameters, x), tangents)[1]

    return Program(*(jax.jit(function, static_argnames=("training",)) for function in (step, double_backward, jvp)))


def second_order(case: Case, program: Program) -> Outcome:
    """Gradients of the backward pass: the vjp of a vjp."""
    import jax

    assert case.dy is not None
    parameters, statistics, scalars = _constants(case)
    with jax.enable_x64(case.dtype == "float64"):
        x, dy = (jax.numpy.asarray(channels_last(array)) for array in (case.x, case.dy))
        by_parameters, dx, ddy = program.double_backward(
            parameters, x, statistics, dy, _vectors(case), *scalars, training=case.training
        )
        found: dict[str, Any] = {
            f"d{name}": np.asarray(value) for name, value in by_parameters.items() if name == "weight"
        }
        return Outcome(ddy=channels_second(ddy), dx=channels_second(dx), **found)


def jvp(case: Case, program: Program) -> Outcome:
    """The tangent of y."""
    import jax

    parameters, statistics, scalars = _constants(case)
    with jax.enable_x64(case.dtype == "float64"):
        x = jax.numpy.asarray(channels_last(case.x))
        tangent = program.jvp(parameters, x, statistics, _vectors(case), *scalars, training=case.training)
        return Outcome(y_tangent=channels_second(tangent))


def _constants(case: Case) -> tuple[dict[str, Any], tuple[Any, Any], tuple[Any, Any]]:
    """Parameters that are present, running statistics, and momentum and eps."""
    dtype, channels = parameter_dtype(case.dtype), case.channels
    given = {"weight": case.weight, "bias": case.bias}
    statistics = (
        np.zeros(channels, dtype) if case.running_mean is None else case.running_mean,
        np.ones(channels, dtype) if case.running_var is None else case.running_var,
    )
    scalars = np.asarray(case.momentum, dtype), np.asarray(case.eps, dtype)
    return {name: value for name, value in given.items() if value is not None}, statistics, scalars


def _vectors(case: Case) -> tuple[dict[str, Any], Any]:
    """ddweight and ddbias by the parameters' names, and ddx channels last."""
    vectors = case.cotangents
    ddx = channels_last(vectors.pop("dx"))
    return {name.removeprefix("d"): value for name, value in vectors.items()}, ddx


def layer(case: Case, program: Program) -> Layer:
    """A layer with state around a compiled step; float64 cases run under JAX's 64-bit mode."""
    import jax

    parameters, statistics, (momentum, eps) = _constants(case)
    state = dict(zip(("mean", "var"), statistics, strict=True))

    def call(case: Case) -> Finish:
        with jax.enable_x64(case.dtype == "float64"):
            x = jax.numpy.asarray(channels_last(case.x))
            dy = jax.numpy.asarray(channels_last(np.zeros_like(case.x) if case.dy is None else case.dy))
            y, new, (gradients, dx) = program.step(
                parameters, x, (state["mean"], state["var"]), dy, momentum, eps, training=case.training
            )
            state["mean"], state["var"] = np.asarray(new[0]), np.asarray(new[1])
            inputs = {"x": channels_second(x), **{k: np.asarray(v) for k, v in parameters.items()}}
            found: dict[str, Any] = {}
            if case.dy is not None:
                inputs["dy"] = channels_second(dy)
                found = {"dx": channels_second(dx)} | {f"d{k}": np.asarray(v) for k, v in gradients.items()}
            outcome = Outcome(
                y=channels_second(y),
                running_mean=state["mean"],
                running_var=state["var"],
                **found,
                inputs_after=inputs,
            )
        # Forward and backward are one compiled function, and arrays are immutable: nothing is left to do.
        return lambda: outcome

    return call
