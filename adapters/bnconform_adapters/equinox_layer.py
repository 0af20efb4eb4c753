"""equinox.nn.BatchNorm: a layer for one sample, mapped over the batch by ``jax.vmap`` with an axis name.

mode="batch" is the batch norm of the definition. Its statistics are averages from 0, which inference divides by the
weight of the batches seen: those that inference uses are the running statistics here, and a layer that is given
statistics is one trained for long. What the documentation calls an unbiased variance is divided by n.

mode="ema" normalizes training, too, by the running statistics, and the batch enters through its share in them: another
layer, of which only inference is claimed. mode="legacy", the default, is "ema" with a warning.

Half types are not claimed: statistics are computed in x's dtype there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from bnconform_adapters.contract import Claims
from bnconform_adapters.jax_arrays import MOMENTUM_MIN, TRAINED_FOR_LONG, JaxAdapter, Options, Program, State, compiled
from bnconform_reference.dialect import EQUINOX


def _claims(modes: tuple[Literal["training", "inference"], ...]) -> Claims:
    return Claims(
        dialect=EQUINOX,
        dtypes=("float32", "float64"),
        layouts=("contiguous",),
        modes=modes,
        gradients=modes,
        second_order=modes,
        forward_mode=modes,
        parameters=("both", "neither"),
        grade="NT",
        bitwise=False,  # vector loops and their tails round differently
        momentum_min=MOMENTUM_MIN,  # its own momentum is below 1
        default_eps=1e-5,
        default_momentum=0.99,
        cost="compiles per shape",
    )


def _begin(mean: Any, var: Any, new: bool) -> State:
    """Statistics that inference uses, those that are stored, and the number of batches seen."""
    return mean, var, mean, var, 0 if new else TRAINED_FOR_LONG


def _layer(parameters: Mapping[str, Any], mean: Any, eps: Any, momentum: Any, mode: str) -> tuple[Any, Any]:
    """The layer, and its state as it is at first."""
    import equinox

    layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
        mean.shape[0],
        axis_name="batch",
        eps=eps,
        channelwise_affine=bool(parameters),
        momentum=1 - momentum,
        dtype=mean.dtype,
        mode=mode,
    )
    if parameters:
        given = parameters["weight"], parameters["bias"]
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), layer, given)
    return layer, state


def _mapped(layer: Any, x: Any, state: Any, training: bool) -> Any:
    """y and the new state, over the batch."""
    import jax

    def one(x: Any, state: Any) -> Any:
        return layer(x, state, inference=not training)

    return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


@cache
def _batch_program() -> Program:
    import jax

    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        mean, var, *stored, counter = state
        layer, held = _layer(parameters, mean, options.eps, options.momentum, "batch")
        held = held.set(layer.batch_counter, counter).set(layer.batch_state_index, tuple(stored))
        y, held = _mapped(layer, x, held, options.training)
        if options.training:
            counter, stored = held.get(layer.batch_counter), held.get(layer.batch_state_index)
            scale = jax.numpy.where(counter == 0, 1, 1 - layer.momentum**counter)  # as inference has it
            mean, var = (array / scale for array in stored)
        return y, (mean, var, *stored, counter)

    return compiled(forward, _begin, channels_last=False)


@cache
def _ema_program() -> Program:
    def forward(parameters: Mapping[str, Any], x: Any, state: State, options: Options) -> tuple[Any, State]:
        layer, held = _layer(parameters, state[0], options.eps, options.momentum, "ema")
        held = held.set(layer.ema_state_index, state)
        y, held = _mapped(layer, x, held, options.training)
        return y, held.get(layer.ema_state_index)

    return compiled(forward, channels_last=False)


def batch() -> JaxAdapter:
    """The adapter of equinox.nn.BatchNorm with ``mode="batch"``."""
    return JaxAdapter("equinox.batch", _claims(("training", "inference")), _batch_program)


def ema() -> JaxAdapter:
    """The adapter of equinox.nn.BatchNorm with ``mode="ema"``, in inference."""
    return JaxAdapter("equinox.ema", _claims(("inference",)), _ema_program)
