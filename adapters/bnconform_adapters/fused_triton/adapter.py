"""The bundled kernel as an implementation under test: compiled on a GPU, interpreted without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bnconform_adapters.contract import AnyArray, Case, Claims, Layout, Outcome
from bnconform_adapters.pytorch import ModuleAdapter, parameter_type
from bnconform_adapters.torch_arrays import layouts_on, place_tensor, to_array


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


class FusedAdapter(ModuleAdapter):
    """FusedBatchNorm; and its synchronised form, with shards in one process that are exchanged by stacking."""

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """See :class:`~bnconform_adapters.contract.Claims`."""
        import torch

        from bnconform_adapters import fused_triton as kernel

        def placed(array: AnyArray | None, layout: Layout = "contiguous") -> Any:
            return None if array is None else place_tensor(array, layout, self._device).array

        inputs = [placed(case.x, case.layout) for case in cases]
        parts = [torch.stack(kernel.channel_statistics(x)) for x in inputs]
        whole = kernel.merge_channel_statistics(kernel.ChannelStatistics(*torch.stack(parts).unbind(1)))
        vectors = [(placed(case.weight), placed(case.bias)) for case in cases]
        passes = [
            kernel.normalize_shard(x, weight, bias, whole, case.eps)
            for case, x, (weight, bias) in zip(cases, inputs, vectors, strict=True)
        ]
        outcomes = []
        for case, passed in zip(cases, passes, strict=True):
            layer = self._built(case)
            layer.move_statistics(whole)
            outcomes.append(Outcome(to_array(passed.y), to_array(layer.running_mean), to_array(layer.running_var)))
        if cases[0].dy is None:
            return outcomes
        dys = [placed(case.dy, case.dy_layout) for case in cases]
        saved = [(x, passed.mean, passed.invstd) for x, passed in zip(inputs, passes, strict=True)]
        own = [kernel.shard_gradient_sums(dy, *kept) for dy, kept in zip(dys, saved, strict=True)]
        sums, count = torch.stack(own).sum(0), whole.values_per_channel
        for i, (dy, (x, mean, invstd), (weight, bias)) in enumerate(zip(dys, saved, vectors, strict=True)):
            dx = kernel.shard_input_gradient(dy, x, weight, mean, invstd, sums, count)
            outcomes[i] = replace(
                outcomes[i],
                dx=to_array(dx),
                dweight=None if weight is None else to_array(own[i][1].to(weight.dtype)),
                dbias=None if bias is None else to_array(own[i][0].to(bias.dtype)),
            )
        return outcomes


def fused() -> FusedAdapter:
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
        shards=("equal", "unequal", "empty"),
        default_eps=1e-5,
        default_momentum=0.1,
        cost="interpreted" if interpreted else "compiles per shape",
    )
    return FusedAdapter("fused_triton", claims, _module, device)
