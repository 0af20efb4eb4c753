"""What the JAX adapters share: axes, precision mode, and one compiled step per shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def compiled(forward: Forward) -> Callable[..., Any]:
    """One function for forward and backward, compiled per shape and mode; eps and momentum are traced."""
    import jax

    def step(
        parameters: Any, x: Any, statistics: Any, dy: Any, momentum: Any, eps: Any, training: bool
    ) -> tuple[Any, Any, Any]:
        def function(parameters: Any, x: Any) -> Any:
            return forward(parameters, x, statistics, momentum=momentum, eps=eps, training=training)

        y, pullback, new = jax.vjp(function, parameters, x, has_aux=True)
        return y, new, pullback(dy.astype(y.dtype))

    jitted: Callable[..., Any] = jax.jit(step, static_argnames=("training",))
    return jitted


def layer(case: Case, step: Callable[..., Any]) -> Layer:
    """A layer with state around a compiled step; float64 cases run under JAX's 64-bit mode."""
    import jax

    dtype = parameter_dtype(case.dtype)
    given = {"weight": case.weight, "bias": case.bias}
    parameters = {name: value for name, value in given.items() if value is not None}
    channels = case.channels
    state = {
        "mean": np.zeros(channels, dtype) if case.running_mean is None else case.running_mean,
        "var": np.ones(channels, dtype) if case.running_var is None else case.running_var,
    }
    momentum, eps = np.asarray(case.momentum, dtype), np.asarray(case.eps, dtype)

    def call(case: Case) -> Finish:
        with jax.enable_x64(case.dtype == "float64"):
            x = jax.numpy.asarray(channels_last(case.x))
            dy = jax.numpy.asarray(channels_last(np.zeros_like(case.x) if case.dy is None else case.dy))
            y, new, (gradients, dx) = step(
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
