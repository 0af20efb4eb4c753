"""The bundled kernel as an implementation under test: compiled on a GPU, interpreted without one."""

from __future__ import annotations

from typing import Any

from bnconform_adapters.contract import Case, Claims
from bnconform_adapters.pytorch import ModuleAdapter, parameter_type
from bnconform_adapters.torch_arrays import layouts_on


def _module(case: Case) -> Any:
    from bnconform_adapters.fused_triton import FusedBatchNorm

    return FusedBatchNorm(
        case.channels,
        eps=case.eps,
        momentum=case.momentum,
        affine=case.weight is not None,
        bias=case.bias is not None,
        track_running_stats=case.running_mean is not None,
        dtype=parameter_type(case),
    )


def fused() -> ModuleAdapter:
    """The adapter of FusedBatchNorm."""
    from bnconform_adapters.fused_triton import interpreted

    device = "cpu" if interpreted else "cuda"
    claims = Claims(
        dtypes=("float32", "float64", "float16", "bfloat16"),
        layouts=layouts_on(device),
        second_order=("training", "inference"),
        parameters=("both", "neither", "weight"),
        eps_min=0.0,
        grade="TW",
        untracked=True,
        gradient_subsets=True,
        default_eps=1e-5,
        default_momentum=0.1,
        cost="interpreted" if interpreted else "compiles per shape",
    )
    return ModuleAdapter("fused_triton", claims, _module, device)
