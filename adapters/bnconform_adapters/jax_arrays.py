"""What the JAX adapters share: axes, precision mode, and one compiled step per shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bnconform_adapters.contract import Case, Claims, Finish, Layer, Outcome, parameter_dtype
from bnconform_adapters.memory import channels_last, channels_second

State: TypeAlias = tuple[Any, ...]
"""What a layer keeps between calls: running mean and variance, and whatever it has beside them."""

TRAINED_FOR_LONG = 1 << 30
"""Batches after which initial statistics weigh nothing in any dtype: (1 - m)^k is 0 for every m that is claimed."""
MOMENTUM_MIN = 2.0**-20

DEVICES = "devices"
"""Name of the axis over which synchronised layers average."""


class Options(NamedTuple):
    """What a step is told beside arrays; momentum and eps may be traced."""

    momentum: Any
    eps: Any
    training: bool
    axis_name: str | None = None
    """Over which statistics are averaged, where they are those of several devices."""


Forward: TypeAlias = Callable[[Mapping[str, Any], Any, State, Options], tuple[Any, State]]
"""A layer as a pure function: parameters that are present, x, the state and options; it gives y and the new state."""


def _alone(mean: Any, var: Any, new: bool) -> State:
    """The state of a layer that keeps running statistics only."""
    return mean, var


@dataclass(frozen=True)
class Program:
    """What is made of a layer; each function is compiled per shape and mode, with eps and momentum traced."""

    step: Callable[..., Any]
    """Forward and backward."""
    double_backward: Callable[..., Any]
    jvp: Callable[..., Any]
    begin: Callable[[Any, Any, bool], State]
    """The state with a given running mean and variance, of a new layer or of one trained for long."""
    last: bool
    """Whether channels are on the last axis, not the second."""
    variance: float
    """Running variance of a new layer; its mean is 0."""
    shards: Callable[..., Any] | None = None
    """Forward and backward on several devices."""

    def given(self, array: Any) -> Any:
        """An array of the case, as the layer takes it."""
        import jax

        return jax.numpy.asarray(channels_last(array) if self.last else array)

    def found(self, array: Any) -> Any:
        """An array of the layer, as the Outcome has it."""
        return channels_second(array) if self.last else np.asarray(array)


def compiled(
    forward: Forward,
    begin: Callable[[Any, Any, bool], State] = _alone,
    *,
    channels_last: bool = True,
    variance: float = 1.0,
    synchronised: bool = False,
) -> Program:
    """Compile a layer and its derivatives; a `synchronised` one heeds the name of an axis, and runs on devices too."""
    import jax

    def step(
        parameters: Any, x: Any, state: State, dy: Any, momentum: Any, eps: Any, training: bool
    ) -> tuple[Any, Any, Any]:
        def function(parameters: Any, x: Any) -> Any:
            return forward(parameters, x, state, Options(momentum, eps, training))

        y, pullback, new = jax.vjp(function, parameters, x, has_aux=True)
        return y, new, pullback(dy.astype(y.dtype))

    def double_backward(
        parameters: Any, x: Any, state: State, dy: Any, cotangents: Any, momentum: Any, eps: Any, training: bool
    ) -> Any:
        def gradients(parameters: Any, x: Any, dy: Any) -> Any:
            return step(parameters, x, state, dy, momentum, eps, training)[2]

        return jax.vjp(gradients, parameters, x, dy)[1](cotangents)

    def jvp(parameters: Any, x: Any, state: State, tangents: Any, momentum: Any, eps: Any, training: bool) -> Any:
        def function(parameters: Any, x: Any) -> Any:
            return forward(parameters, x, state, Options(momentum, eps, training))[0]

        return jax.jvp(function, (parameters, x), tangents)[1]

    first, second, forward_mode = (
        jax.jit(function, static_argnames=("training",)) for function in (step, double_backward, jvp)
    )
    shards = jax.jit(_over_devices(forward)) if synchronised else None
    return Program(first, second, forward_mode, begin, channels_last, variance, shards)


def _over_devices(forward: Forward) -> Callable[..., Any]:
    """Forward and backward of a layer on stacked shards, one for each device where there are so many, else mapped."""
    import jax

    def step(parameters: Any, x: Any, state: State, dy: Any, momentum: Any, eps: Any) -> tuple[Any, Any, Any]:
        def one_device(parameters: Any, x: Any) -> tuple[Any, State]:
            return forward(parameters, x, state, Options(momentum, eps, True, DEVICES))

        many, devices = jax.vmap(one_device, axis_name=DEVICES), jax.devices()
        if len(devices) >= len(x):

            def first(tree: Any) -> Any:
                return jax.tree.map(lambda leaf: leaf[0], tree)

            def block(parameters: Any, x: Any) -> Any:
                return jax.tree.map(lambda leaf: leaf[None], one_device(first(parameters), first(x)))

            mesh, spec = jax.sharding.Mesh(np.array(devices[: len(x)]), (DEVICES,)), jax.P(DEVICES)
            many = jax.shard_map(block, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        y, pullback, new = jax.vjp(many, parameters, x, has_aux=True)
        return y, new, pullback(dy.astype(y.dtype))

    return step


@dataclass(frozen=True)
class JaxAdapter:
    """An implementation in JAX.

    Attributes
    ----------
    name : str
    claims : Claims
    program : callable
        Makes the program; called when it is first needed, so it should keep what it makes.
    """

    name: str
    claims: Claims
    program: Callable[[], Program]

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        return layer(case, self.program())

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return shards(cases, self.program())

    def second_order(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return second_order(case, self.program())

    def jvp(self, case: Case) -> Outcome:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        return jvp(case, self.program())


def shards(cases: Sequence[Case], program: Program) -> list[Outcome]:
    """A step on several devices, with parameters of its own on each, so that each has gradients of its own."""
    import jax

    assert program.shards is not None
    parameters, state, scalars = _constants(cases[0], program)
    with jax.enable_x64(cases[0].dtype == "float64"):
        x = np.stack([program.given(case.x) for case in cases])
        dy = np.stack([program.given(np.zeros_like(case.x) if case.dy is None else case.dy) for case in cases])
        own = {name: np.stack([value] * len(cases)) for name, value in parameters.items()}
        y, (mean, var, *_), (by_parameters, dx) = program.shards(own, x, state, dy, *scalars)
        outcomes = []
        for i, case in enumerate(cases):
            gradients: dict[str, Any] = {}
            if case.dy is not None:
                gradients = {"dx": program.found(dx[i])} | {f"d{k}": np.asarray(v[i]) for k, v in by_parameters.items()}
            outcomes.append(Outcome(program.found(y[i]), np.asarray(mean[i]), np.asarray(var[i]), **gradients))
        return outcomes


def second_order(case: Case, program: Program) -> Outcome:
    """Gradients of the backward pass: the vjp of a vjp."""
    import jax

    assert case.dy is not None
    parameters, state, scalars = _constants(case, program)
    with jax.enable_x64(case.dtype == "float64"):
        x, dy = program.given(case.x), program.given(case.dy)
        by_parameters, dx, ddy = program.double_backward(
            parameters, x, state, dy, _vectors(case, program), *scalars, training=case.training
        )
        found: dict[str, Any] = {
            f"d{name}": np.asarray(value) for name, value in by_parameters.items() if name == "weight"
        }
        return Outcome(ddy=program.found(ddy), dx=program.found(dx), **found)


def jvp(case: Case, program: Program) -> Outcome:
    """The tangent of y."""
    import jax

    parameters, state, scalars = _constants(case, program)
    with jax.enable_x64(case.dtype == "float64"):
        x = program.given(case.x)
        tangent = program.jvp(parameters, x, state, _vectors(case, program), *scalars, training=case.training)
        return Outcome(y_tangent=program.found(tangent))


def _constants(case: Case, program: Program) -> tuple[dict[str, Any], State, tuple[Any, Any]]:
    """Parameters that are present, the state, and momentum and eps."""
    dtype, channels = parameter_dtype(case.dtype), case.channels
    given = {"weight": case.weight, "bias": case.bias}
    statistics = (
        np.zeros(channels, dtype) if case.running_mean is None else case.running_mean,
        np.full(channels, program.variance, dtype) if case.running_var is None else case.running_var,
    )
    scalars = np.asarray(case.momentum, dtype), np.asarray(case.eps, dtype)
    state = program.begin(*statistics, case.before == "reset")
    return {name: value for name, value in given.items() if value is not None}, state, scalars


def _vectors(case: Case, program: Program) -> tuple[dict[str, Any], Any]:
    """ddweight and ddbias by the parameters' names, and ddx."""
    vectors = case.cotangents
    ddx = program.given(vectors.pop("dx"))
    return {name.removeprefix("d"): value for name, value in vectors.items()}, ddx


def layer(case: Case, program: Program) -> Layer:
    """A layer with state around a compiled step; float64 cases run under JAX's 64-bit mode."""
    import jax

    parameters, state, (momentum, eps) = _constants(case, program)

    def call(case: Case) -> Finish:
        nonlocal state
        with jax.enable_x64(case.dtype == "float64"):
            x, dy = program.given(case.x), program.given(np.zeros_like(case.x) if case.dy is None else case.dy)
            y, state, (gradients, dx) = program.step(parameters, x, state, dy, momentum, eps, training=case.training)
            inputs = {"x": program.found(x), **{k: np.asarray(v) for k, v in parameters.items()}}
            found: dict[str, Any] = {}
            if case.dy is not None:
                inputs["dy"] = program.found(dy)
                found = {"dx": program.found(dx)} | {f"d{k}": np.asarray(v) for k, v in gradients.items()}
            outcome = Outcome(
                y=program.found(y),
                running_mean=np.asarray(state[0]),
                running_var=np.asarray(state[1]),
                **found,
                inputs_after=inputs,
            )
        # Forward and backward are one compiled function, and arrays are immutable: nothing is left to do.
        return lambda: outcome

    return call
