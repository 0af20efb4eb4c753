"""Claims of the kernel, which is compiled on a GPU and interpreted without one."""

from __future__ import annotations

from bnconform_adapters.call_adapter import CallAdapter
from bnconform_adapters.claims import Claims
from bnconform_adapters.torch import layouts_on


def fused() -> CallAdapter:
    """Return the adapter of FusedBatchNorm."""
    from bnconform_adapters.fused_triton import interpreted

    claims = Claims(
        dtypes=("float32", "float64", "float16", "bfloat16"),
        layouts=layouts_on("cpu" if interpreted else "cuda"),
        second_order=("training", "inference"),
        parameters=("both", "neither", "weight"),
        eps_min=0.0,
        grade="TW",
        untracked=True,
        gradient_subsets=True,
        shards=("equal", "unequal", "empty"),
        default_eps=1e-5,
        default_momentum=0.1,
        cost="interpreted" if interpreted else "compiles per shape",
    )
    return CallAdapter("fused_triton", claims, "bnconform_adapters.torch.fused_kernel", ("torch", "triton"))
