"""Batch norm over several devices: each has a shard of the batch, of any size, and all use the batch's statistics.

`FusedSyncBatchNorm` exchanges statistics with ``torch.distributed``. For another exchange, call its parts yourself:
`channel_statistics`, `merge_channel_statistics`, `normalize_shard`, `shard_gradient_sums`, `shard_input_gradient`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from .launch import Settings, accumulator
from .launch_backward import Saved, gradient_sums, input_gradient
from .launch_forward import Forward, Vectors, inference_forward
from .module import FusedBatchNorm
from .statistics import ChannelStatistics, channel_statistics, merge_channel_statistics
from .validate import check_call


def normalize_shard(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    whole: ChannelStatistics,
    eps: float,
) -> Forward:
    """Normalize a shard by the statistics of the whole batch.

    Parameters
    ----------
    x : Tensor
        Shape (N_i, C, \\*spatial), float16 to float64, maybe empty.
    weight, bias : Tensor or None
        Shape (C,).
    whole : ChannelStatistics
        Statistics of all shards together, from `merge_channel_statistics`.
    eps : float

    Returns
    -------
    Forward
        y, and mean and 1 / sqrt(var + eps) for the backward pass.
    """
    variance = whole.m2 / whole.count
    if x.numel() == 0:
        return Forward(torch.empty_like(x), whole.mean, torch.rsqrt(variance + eps))
    return inference_forward(x, Vectors(weight, bias, whole.mean, variance), None, _settings(eps), save=True)


def shard_gradient_sums(dy: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, invstd: torch.Tensor) -> torch.Tensor:
    """Compute a shard's part of dbias = sum(dy) and of dweight = sum(dy * xhat); add the parts of all shards.

    Returns
    -------
    Tensor
        The two sums, shape (2, C), float32, or float64 for float64 data; zeros for an empty shard.
    """
    if x.numel() == 0:
        return torch.zeros(2, x.shape[1], dtype=accumulator(x)[0], device=x.device)
    return gradient_sums(dy, Saved(x, None, None, None, mean, invstd), _settings(0.0))


def shard_input_gradient(
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor | None,
    mean: torch.Tensor,
    invstd: torch.Tensor,
    sums: torch.Tensor,
    count: int,
) -> torch.Tensor:
    """Compute dx of a shard from the summed `shard_gradient_sums` of all shards with ``count`` values per channel."""
    if x.numel() == 0:
        return torch.empty_like(x)
    return input_gradient(dy, Saved(x, weight, None, None, mean, invstd), _settings(0.0), sums, count)


def _settings(eps: float) -> Settings:
    return Settings(training=False, momentum=0.0, eps=eps, relu=False)


class FusedSyncBatchNorm(FusedBatchNorm):
    """A `FusedBatchNorm` whose training statistics are those of the batch over all processes of a group.

    Each process passes its own shard of any size, also an empty one; all shards together need more than one value per
    channel. The gradients of weight and bias are the shard's part: add them over processes, or let
    DistributedDataParallel average them. The layer is differentiable once. In inference, and without an initialised
    process group, the layer works as `FusedBatchNorm`.

    Parameters
    ----------
    num_features, *args, **options
        As in `FusedBatchNorm`, without ``relu``.
    process_group : ProcessGroup, optional
        None for all processes.

    Examples
    --------
    Under ``torchrun --nproc-per-node=2``, after ``torch.distributed.init_process_group("gloo")``::

        layer = FusedSyncBatchNorm(32)
        layer(shard).square().sum().backward()
        torch.distributed.all_reduce(layer.weight.grad)
    """

    def __init__(self, num_features: int, *args: Any, process_group: Any = None, **options: Any) -> None:
        super().__init__(num_features, *args, **options)
        self.process_group = process_group

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Normalise this process's shard.

        Parameters
        ----------
        x : Tensor
            Shape (N_i, C, \\*spatial), rank 2 to 5; every process passes the same C.

        Raises
        ------
        ValueError
            As in `FusedBatchNorm`. With one value per channel in all processes together, every process raises.
        """
        alone = not (dist.is_available() and dist.is_initialized())
        batch_statistics = self.training or (self.running_mean is None and self.running_var is None)
        if alone or not batch_statistics:
            return super().forward(x)
        # With training=False, since a shard may have one value per channel.
        ones = torch.ones(self.num_features, dtype=self._vector_dtype(x), device=x.device)
        check_call(x, self.weight, self.bias, ones, ones, None, training=False, eps=self.eps)
        whole = merge_channel_statistics(self._gathered(x))
        count = whole.values_per_channel
        if count == 1:
            raise ValueError(
                "Expected more than 1 value per channel when training, got 1 in all processes together: "
                "pass larger shards, or switch to inference with eval()"
            )
        if self.training and self.track_running_stats:
            self.move_statistics(whole)
        y: torch.Tensor = _Synchronised.apply(x, self.weight, self.bias, whole, count, self.eps, self.process_group)
        return y

    def _vector_dtype(self, x: torch.Tensor) -> torch.dtype:
        return x.dtype if self.weight is None else self.weight.dtype

    def _gathered(self, x: torch.Tensor) -> ChannelStatistics:
        """Gather the statistics of every process, in the order of ranks."""
        own = torch.stack(channel_statistics(x))
        return ChannelStatistics(*gathered(own, self.process_group).unbind(1))


def gathered(own: torch.Tensor, group: Any = None) -> torch.Tensor:
    """Gather the tensors of all processes, stacked in the order of ranks."""
    all_of_them = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(all_of_them, own.contiguous(), group=group)
    return torch.stack(all_of_them)


class _Synchronised(torch.autograd.Function):  # type: ignore[misc]
    """The autograd function of a shard from x, weight and bias to y, with the whole batch's statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        whole: ChannelStatistics,
        count: int,
        eps: float,
        group: Any,
    ) -> torch.Tensor:
        found = normalize_shard(x, weight, bias, whole, eps)
        ctx.save_for_backward(x, weight, bias, found.mean, found.invstd)
        ctx.count, ctx.group = count, group
        return found.y

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, bias, mean, invstd = ctx.saved_tensors
        own = shard_gradient_sums(dy, x, mean, invstd)
        sums = gathered(own, ctx.group).sum(0)  # every process must take part, also without need for dx
        dx = shard_input_gradient(dy, x, weight, mean, invstd, sums, ctx.count) if ctx.needs_input_grad[0] else None
        dweight = None if weight is None else own[1].to(weight.dtype)
        return dx, dweight, None if bias is None else own[0].to(bias.dtype), None, None, None, None
