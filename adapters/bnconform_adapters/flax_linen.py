"""Flax linen.BatchNorm, as users call it: channels last, statistics in the `batch_stats` collection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bnconform_adapters.contract import Case, Claims, Layer, Outcome
from bnconform_adapters.jax_arrays import Program, compiled, jvp, layer, second_order
from bnconform_reference.dialect import FLAX
from bnconform_reference.precision import DtypeName

HALF_TYPES: tuple[DtypeName, DtypeName] = ("float16", "bfloat16")


class _Linen:
    name = "flax.linen"
    claims = Claims(
        dialect=FLAX,
        dtypes=("float32", "float64", *HALF_TYPES),
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
    from flax import linen

    def forward(
        parameters: Mapping[str, Any],
        x: Any,
        statistics: tuple[Any, Any],
        *,
        momentum: Any,
        eps: Any,
        training: bool,
    ) -> tuple[Any, tuple[Any, Any]]:
        module = linen.BatchNorm(
            use_running_average=not training,
            momentum=1 - momentum,
            epsilon=eps,
            dtype=x.dtype if x.dtype.name in HALF_TYPES else None,
            use_scale="weight" in parameters,
            use_bias="bias" in parameters,
        )
        names = {"weight": "scale", "bias": "bias"}
        variables = {
            "params": {names[key]: value for key, value in parameters.items()},
            "batch_stats": {"mean": statistics[0], "var": statistics[1]},
        }
        y, updated = module.apply(variables, x, mutable=["batch_stats"])
        return y, (updated["batch_stats"]["mean"], updated["batch_stats"]["var"])

    return compiled(forward)


def linen() -> _Linen:
    """The adapter of flax.linen.BatchNorm with its default, fast variance."""
    return _Linen()
