"""Flax nnx.BatchNorm, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bnconform_adapters.contract import Case, Claims, Layer, Outcome
from bnconform_adapters.flax_linen import HALF_TYPES
from bnconform_adapters.jax_arrays import Program, compiled, jvp, layer, second_order
from bnconform_reference.dialect import FLAX


class _Nnx:
    name = "flax.nnx"
    claims = Claims(
        dialect=FLAX,
        dtypes=("float32", *HALF_TYPES),  # its statistics are float32 whatever param_dtype says
        layouts=("contiguous",),
        second_order=("training", "inference"),
        forward_mode=("training", "inference"),
        bitwise=False,  # vector loops and their tails round differently
        default_eps=1e-5,
        default_momentum=0.99,
        cost="compiles per shape",
    )

    def layer(self, case: Case) -> Layer:
        return layer(case, _program())

    def second_order(self, case: Case) -> Outcome:
        return second_order(case, _program())

    def jvp(self, case: Case) -> Outcome:
        return jvp(case, _program())


@cache
def _program() -> Program:
    from flax import nnx

    def forward(
        parameters: Mapping[str, Any],
        x: Any,
        statistics: tuple[Any, Any],
        *,
        momentum: Any,
        eps: Any,
        training: bool,
    ) -> tuple[Any, tuple[Any, Any]]:
        module = nnx.BatchNorm(
            statistics[0].shape[0],
            use_running_average=not training,
            momentum=1 - momentum,
            epsilon=eps,
            dtype=x.dtype if x.dtype.name in HALF_TYPES else None,
            use_scale="weight" in parameters,
            use_bias="bias" in parameters,
            rngs=nnx.Rngs(0),
        )
        module.mean[...], module.var[...] = statistics
        names = {"weight": "scale", "bias": "bias"}
        for key, value in parameters.items():
            getattr(module, names[key])[...] = value
        y = module(x)
        return y, (module.mean[...], module.var[...])

    return compiled(forward)


def nnx() -> _Nnx:
    """The adapter of flax.nnx.BatchNorm."""
    return _Nnx()
