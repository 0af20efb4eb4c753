"""Faults of a batch norm whose batch lies in shards on several devices."""

import numpy as np
from sharded_steps import ShardedSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("ShardsAlone", "each device normalizes by its own shard", "", ("Y1", "Y2", "Y3")),
    Specimen(
        "MeanOfShardVariances",
        "the variance is the mean of the shards' variances",
        "sync-mean-of-vars tensorflow/tpu#321",
        ("Y1", "Y2", "Y3"),
    ),
    Specimen(
        "UnweightedRanks",
        "every shard counts alike, whatever its size",
        "sync-mean-of-means-uneven PaddlePaddle/Paddle#32464",
        ("Y1", "Y2", "Y3"),
    ),
    Specimen(
        "LocalCounts",
        "each device takes its own count for everyone's",
        "sync-local-count pytorch/pytorch#22192",
        ("Y1", "Y3"),
    ),
    Specimen("LocalBessel", "the stored variance divides by the shard's n - 1", "", ("Y3",)),
    Specimen("EmptyShardIsNaN", "an empty shard has a mean of 0 / 0", "empty-sync pytorch/pytorch#36530", ("Y1", "Y3")),
    Specimen("LastShardLost", "the merge stops before the last of more than two shards", "", ("Y1", "Y3")),
    Specimen("MergedSquares", "the merge is of E[x^2] and E[x]^2", "", ("Y1",)),
    Specimen(
        "GradientMeansUnweighted",
        "the means of dy and dy * xhat are means of the shards' means",
        "sync-dgrad-uneven pytorch/pytorch#36382",
        ("Y2",),
    ),
    Specimen("GradientsAlone", "dx has nothing of the other shards", "", ("Y2",)),
    Specimen("GradientsOfEveryone", "each device returns the whole batch's dweight and dbias", "", ("Y2",)),
    Specimen("OverwritesShard", "forward_merged centres its shard of x in place", "", ("Y1",)),
    Specimen("OthersStatisticsStay", "only the device of the largest shard moves its statistics", "", ("Y3",)),
)


@specimen
class ShardsAlone(ShardedSteps):
    def forward_merged(self, x, *rest, **numbers):
        *given, _ = rest
        own = self.partial_statistics(x)
        return super().forward_merged(x, *given, [own if own[0] else (1, *own[1:])], **numbers)


@specimen
class MeanOfShardVariances(ShardedSteps):
    def merged(self, partials):
        count, mean, _ = super().merged(partials)
        return count, mean, np.sum([squares for _, _, squares in partials], axis=0)


@specimen
class UnweightedRanks(ShardedSteps):
    def merged(self, partials):
        present = [(1, mean, squares / n) for n, mean, squares in partials if n]
        share, mean, variance = super().merged(present)
        count = sum(n for n, _, _ in partials)
        return count, mean, variance / share * count


@specimen
class LocalCounts(ShardedSteps):
    def merged(self, partials):
        count = sum(n for n, _, _ in partials)
        own = max(1, partials[0][0])
        _, mean, squares = super().merged([(own, mean, squares) for _, mean, squares in partials])
        return count, mean, squares


@specimen
class LocalBessel(ShardedSteps):
    def stored_count(self, count, rows):
        return max(2, rows.shape[1])


@specimen
class EmptyShardIsNaN(ShardedSteps):
    def partial_statistics(self, x):
        n, mean, squares = super().partial_statistics(x)
        return n, mean if n else mean * np.nan, squares

    def merged(self, partials):
        count = sum(n for n, _, _ in partials)
        mean = sum(n * mean for n, mean, _ in partials) / count
        squares = sum(squares + n * (own - mean) ** 2 for n, own, squares in partials)
        return count, mean, squares


@specimen
class LastShardLost(ShardedSteps):
    def merged(self, partials):
        return super().merged(partials[:-1] if len(partials) > 2 and partials[0][0] else partials)


@specimen
class MergedSquares(ShardedSteps):
    def merged(self, partials):
        count = sum(n for n, _, _ in partials)
        mean = sum(n * mean for n, mean, _ in partials) / count
        squares = sum(squares + n * mean * mean for n, mean, squares in partials)
        return count, mean, np.maximum(squares - count * mean * mean, 0)


@specimen
class GradientMeansUnweighted(ShardedSteps):
    def partial_gradients(self, dy, saved):
        n = dy.size // dy.shape[1]
        return *super().partial_gradients(dy, saved), n

    def summed(self, partials):
        means = [(dbias / n, dweight / n) for dbias, dweight, n in partials if n]
        return [np.mean(parts, axis=0) for parts in zip(*means, strict=True)]

    def gradient_count(self, saved, rows):
        return 1

    def own_part(self, own, whole):
        return own[:2]


@specimen
class GradientsAlone(ShardedSteps):
    def backward_merged(self, dy, saved, partials):
        return super().backward_merged(dy, saved, [self.partial_gradients(dy, saved)])


@specimen
class GradientsOfEveryone(ShardedSteps):
    def own_part(self, own, whole):
        return whole


@specimen
class OverwritesShard(ShardedSteps):
    def forward_merged(self, x, *rest, **numbers):
        results = super().forward_merged(x.copy(), *rest, **numbers)
        if x.size:
            x -= x.mean(axis=(0, *range(2, x.ndim)), keepdims=True)
        return results


@specimen
class OthersStatisticsStay(ShardedSteps):
    def forward_merged(self, x, weight, bias, running_mean, running_var, partials, **numbers):
        y, mean, var, saved = super().forward_merged(x, weight, bias, running_mean, running_var, partials, **numbers)
        own = len(x) and x.size // x.shape[1]
        moves = own == max(n for n, _, _ in partials)
        return y, mean if moves else running_mean, var if moves else running_var, saved
