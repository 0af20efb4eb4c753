"""Statistics of shards and their merge: what synchronised batch norm is built on."""

from __future__ import annotations

import pytest
import torch

from bnconform_adapters.fused_triton import ChannelStatistics, channel_statistics, merge_channel_statistics
from bnconform_reference.precision import Precision
from bnconform_reference.running_statistics import moments


def stacked(shards: list[torch.Tensor]) -> ChannelStatistics:
    parts = [channel_statistics(shard) for shard in shards]
    return ChannelStatistics(*(torch.stack(values) for values in zip(*parts, strict=True)))


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("cuts", [[7], [1, 0, 6], [0, 7], [2, 3, 2]], ids=str)
def test_shards_of_any_sizes_give_what_the_whole_gives(cuts: list[int], offset: float) -> None:
    """Counts weigh the shards, an empty one weighs nothing; grade TW of the whole batch holds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 5, 6, generator=generator) + offset
    merged = merge_channel_statistics(stacked(list(x.split(cuts))))
    whole = moments(x.numpy())
    n = whole.count
    precision = Precision.for_dtype("float32", "TW")
    mean_bound = precision.gamma(precision.sum_height(n) + 4) * x.abs().double().mean((0, 2)).numpy()
    spread = (whole.squares * n) ** 0.5
    squares_bound = precision.gamma(precision.sum_height(n) + 5) * whole.squares + 2 * spread * mean_bound
    assert (merged.count == n).all()
    assert (abs(merged.mean.double().numpy() - whole.mean) <= mean_bound).all()
    assert (abs(merged.m2.double().numpy() - whole.squares) <= squares_bound + n * mean_bound**2).all()


def test_order_of_shards_is_the_order_of_operations() -> None:
    """The same shards in the same order give the same bits."""
    x = torch.randn(6, 3, 50)
    first, second = (merge_channel_statistics(stacked(list(x.split(2)))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_empty_everything_is_zero() -> None:
    """No values at all: count, mean and squares are 0, not NaN."""
    merged = merge_channel_statistics(stacked([torch.empty(0, 3, 4), torch.empty(0, 3, 4)]))
    assert all(torch.equal(t, torch.zeros(3)) for t in merged)


@pytest.mark.parametrize("shards", [1, 2, 1500])
def test_more_shards_than_one_merge_takes(shards: int) -> None:
    """Exact data: each shard is one value, 0 or 2; the merge of any number of them is exact."""
    values = torch.arange(shards * 2, dtype=torch.float32).view(-1, 1) % 2 * 2
    parts = ChannelStatistics(torch.ones_like(values), values, torch.zeros_like(values))
    merged = merge_channel_statistics(parts)
    n = 2 * shards
    assert merged.count.item() == n
    # 1 / n is rounded unless n is a power of two, and shares are summed: a mean near 1, m2 near n.
    precision = Precision.for_dtype("float32", "TW")
    bound = precision.gamma(precision.sum_height(n) + 4)
    assert abs(merged.mean.item() - 1) <= bound
    assert abs(merged.m2.item() - n) <= n * (precision.gamma(precision.sum_height(n) + 5) + 2 * bound)
