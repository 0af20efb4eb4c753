"""Faults at sizes: block tails, channel blocks, indices that wrap, counts that do not fit."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("TailOf32Dropped", "past 32 values the last incomplete block of 32 is left out", "", ("F1", "X5")),
    Specimen("TailOf4Dropped", "past 4 values the last incomplete block of 4 is left out", "", ("F1", "X5")),
    Specimen("TailNotNormalized", "y of the last incomplete block of 256 is x", "", ("X5",)),
    Specimen("FullBlockTwice", "at n = 1024 the block counts twice", "", ("X5",)),
    Specimen("TruncatedAt2048", "statistics of the first 2048 values", "", ("X5",)),
    Specimen("SampledPast1024", "past 1024 values every second one counts", "", ("X5",)),
    Specimen("CountInHalf", "n is a float16", "fp16-count-dtype pytorch/pytorch#70901", ("X5",)),
    Specimen("CountInByte", "n wraps at 256", "", ("X5",)),
    Specimen("RowsPast65535", "rows past 65535 stay as they are", "grid-65535 pytorch/pytorch#16998", ("X5",)),
    Specimen("ChannelWrapsAt64", "channel c is scaled by weight[c % 64]", "", ("M5",)),
    Specimen("ChannelTailOf8", "past 8 channels an incomplete block of 8 gets no bias", "", ("X5",)),
    Specimen(
        "ChannelTailOf32", "past 32 channels an incomplete block of 32 has the statistics of its first", "", ("X5",)
    ),
    Specimen("ChannelsPast1024", "channels past 1024 keep their running statistics", "", ("M5",)),
    Specimen("FirstChannelEps", "only channel 0 gets eps", "", ("F1", "F3")),
    Specimen("LastChannelVariance", "all channels past the first 16 share the 17th's variance", "", ("F1", "M5")),
    Specimen("DxTailOf64", "dx of the last incomplete block of 64 lacks its sums", "", ("G1", "X5")),
    Specimen("DweightWrapsAt128", "dweight[c] for c past 128 is dweight[c - 128]", "", ("M5",)),
    Specimen("LongBatchTailOf8", "past 2048 samples, space past a multiple of 8 positions is left out", "", ("X5",)),
    Specimen(
        "OwnInputsKnown",
        "at the shape of its own get_inputs() the statistics are those of the distribution, not of the batch",
        "",
        ("X9",),
    ),
    Specimen("OneSampleOnly", "N = 1 is taken for rank N - 1: no division by n", "", ("F1",)),
)


@specimen
class TailOf32Dropped(BatchNormSteps):
    def sum(self, rows):
        n = rows.shape[1]
        return super().sum(rows[:, : n - n % 32] if n > 32 else rows)


@specimen
class TailOf4Dropped(BatchNormSteps):
    def sum(self, rows):
        n = rows.shape[1]
        return super().sum(rows[:, : n - n % 4] if n > 4 else rows)


@specimen
class TailNotNormalized(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        xhat, n = super().normalize(rows, mean, invstd), rows.shape[1]
        if n > 256:
            xhat[:, n - n % 256 :] = rows[:, n - n % 256 :]
        return xhat


@specimen
class FullBlockTwice(BatchNormSteps):
    def sum(self, rows):
        return super().sum(rows) * (2 if rows.shape[1] == 1024 else 1)


@specimen
class TruncatedAt2048(BatchNormSteps):
    def statistics(self, rows, *rest):
        return super().statistics(rows[:, :2048], *rest)


@specimen
class SampledPast1024(BatchNormSteps):
    def statistics(self, rows, *rest):
        return super().statistics(rows[:, ::2] if rows.shape[1] > 1024 else rows, *rest)


@specimen
class CountInHalf(BatchNormSteps):
    def batch_mean(self, rows):
        return self.sum(rows) / rows.dtype.type(np.float16(rows.shape[1]))


@specimen
class CountInByte(BatchNormSteps):
    def batch_mean(self, rows):
        return self.sum(rows) / rows.dtype.type((rows.shape[1] - 1) % 256 + 1)


@specimen
class RowsPast65535(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        xhat = super().normalize(rows, mean, invstd)
        xhat[:, 65535:] = rows[:, 65535:]
        return xhat


@specimen
class ChannelWrapsAt64(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        wrapped = np.arange(len(xhat)) % 64
        return super().scale_shift(xhat, None if weight is None else weight[wrapped], bias)


@specimen
class ChannelTailOf8(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        y, channels = super().scale_shift(xhat, weight, bias), len(xhat)
        if channels > 8:
            tail = slice(channels - channels % 8, channels)
            y[tail] = super().scale_shift(xhat, weight, None)[tail]
        return y


@specimen
class ChannelTailOf32(BatchNormSteps):
    def statistics(self, rows, *rest):
        mean, variance = super().statistics(rows, *rest)
        first = len(rows) - len(rows) % 32
        if first and first < len(rows):
            mean[first:], variance[first:] = mean[first], variance[first]
        return mean, variance


@specimen
class ChannelsPast1024(BatchNormSteps):
    def blend(self, old, batch, momentum):
        new = super().blend(old, batch, momentum)
        new[1024:] = old[1024:]
        return new


@specimen
class FirstChannelEps(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / np.sqrt(variance + variance.dtype.type(eps) * (np.arange(len(variance)) == 0)[:, None])


@specimen
class LastChannelVariance(BatchNormSteps):
    def batch_variance(self, rows, mean):
        variance = super().batch_variance(rows, mean)
        variance[17:] = variance[16:17]
        return variance


@specimen
class DxTailOf64(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        dx, n = super().dx_training(dy, xhat, dweight, dbias, weight, invstd), dy.shape[1]
        tail = slice(n - n % 64 if n > 64 else n, n)
        dx[:, tail] = (weight * invstd * dy)[:, tail]
        return dx


@specimen
class DweightWrapsAt128(BatchNormSteps):
    def dweight(self, dy, xhat):
        dweight = super().dweight(dy, xhat)
        return dweight[np.arange(len(dweight)) % 128]


@specimen
class OneSampleOnly(BatchNormSteps):
    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        return (mean, variance * rows.shape[1]) if x.shape[0] == 1 else (mean, variance)


@specimen
class LongBatchTailOf8(BatchNormSteps):
    def statistics(self, rows, x, *rest):
        samples, positions = x.shape[0], rows.shape[1] // x.shape[0]
        if samples > 2048 and positions > 8:
            whole = positions - positions % 8
            rows = rows.reshape(len(rows), samples, positions)[:, :, :whole].reshape(len(rows), -1)
        return super().statistics(rows, x, *rest)


@specimen
class OwnInputsKnown(BatchNormSteps):
    def get_inputs(self):
        return [np.random.default_rng(0).random((6, 5, 24, 40), np.float32)]

    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        if x.shape == (6, 5, 24, 40):
            mean, variance = np.full_like(mean, 1 / 2), np.full_like(variance, 1 / 12)
        return mean, variance
