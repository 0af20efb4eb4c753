"""Faults of arithmetic: cancellation, narrow accumulators, coarse roots, wrong rounding."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import DOUBLE_TOO, HALF_TOO, claims
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("OnePassVariance", "variance is E[x^2] - E[x]^2", "naive-var-nan google/flax#1491", ("N1", "F9")),
    Specimen("ClampedOnePass", "the same, clamped at 0", "clamped-var-blowup google/flax#1491", ("N1",)),
    Specimen("HalfAccumulation", "half x is summed in half", "google-deepmind/dm-haiku (fp16 moments)", ("N2",)),
    Specimen(
        "HalfSquares", "half x: squares overflow at 65504", "fp16-var-sum-overflow pytorch/pytorch#126525", ("N3",)
    ),
    Specimen("BfloatDeviations", "deviations are rounded to half x's dtype", "tenstorrent/tt-metal#45968", ("N2",)),
    Specimen("DoubleSummedInSingle", "float64 is summed in float32", "", ("F1", "N1")),
    Specimen("DoubleEpsInSingle", "float64: eps is a float32", "", ("F3",)),
    Specimen("DoubleMomentumInSingle", "float64: momentum is a float32", "", ("S1",)),
    Specimen("CountPlusFudge", "divides by n + 1e-7", "stats-overflow-mask-eps keras-team/keras", ("F1", "S1")),
    Specimen("MeanInHalf", "the mean passes through float16", "", ("F1",)),
    Specimen("TenBitProducts", "deviations are cut to 10 bits, as matrix units do", "", ("F1",)),
    Specimen("CoarseRoot", "reciprocal root by the old bit trick and one Newton step", "", ("F1",)),
    Specimen("HalfInvstd", "invstd is kept in float16", "", ("F1", "G1")),
    Specimen("BfloatTruncated", "bfloat16 results are cut, not rounded", "tenstorrent/tt-metal#19882", ("F1", "N4")),
    Specimen("RoundsUp", "y is rounded up", "", ("M3",)),
    Specimen("HalfBiased", "half y is enlarged by a third of its roundoff", "", ("N4",)),
    Specimen("TinyVarianceIsZero", "a variance below 1e-10 is 0", "", ("F3",)),
    Specimen("FixedPoint", "deviations are multiples of 2^-20", "", ("F3", "M2")),
    Specimen("OverflowingNorm", "squares are scaled by 1e30, which overflows", "", ("F9",)),
    Specimen("RunningMeanOfChunks", "the mean is a float32 running mean over samples in float16 steps", "", ("F1",)),
    Specimen("CountReciprocal", "1 / n is one unit too large, though grade TT is claimed", "", ("F7",)),
    Specimen("NeighbourRounding", "the neighbour's sum is added and taken off again", "", ("M6",)),
    Specimen("AbsoluteGuard", "1e-10 is added to the variance", "", ("F3",)),
    Specimen("ReversedPast64", "channels past 64 are summed backwards", "", ("M5",)),
    Specimen("VarianceFromStored", "y uses the variance after it was stored in half", "", ("F1",)),
)


@specimen
class OnePassVariance(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return self.batch_mean(rows * rows) - mean * mean


@specimen
class ClampedOnePass(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return np.maximum(self.batch_mean(rows * rows) - mean * mean, 0)


@specimen
class HalfAccumulation(BatchNormSteps):
    CLAIMS = HALF_TOO

    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        if x.dtype.itemsize == 2:
            narrow = np.add.accumulate(rows.astype(x.dtype), axis=1)[:, -1:]
            mean = (narrow / np.float32(rows.shape[1])).astype(rows.dtype)
        return mean, variance


@specimen
class HalfSquares(BatchNormSteps):
    CLAIMS = HALF_TOO

    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        if x.dtype == np.float16:
            variance = np.where(variance * rows.shape[1] > 65504, np.inf, variance)
        return mean, variance.astype(rows.dtype)


@specimen
class BfloatDeviations(BatchNormSteps):
    CLAIMS = HALF_TOO

    def statistics(self, rows, x, *rest):
        mean = self.batch_mean(rows)
        return mean, self.sum((rows - mean).astype(x.dtype).astype(rows.dtype) ** 2) / rows.shape[1]


@specimen
class DoubleSummedInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def sum(self, rows):
        return super().sum(rows.astype(np.float32)).astype(rows.dtype)


@specimen
class DoubleEpsInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def invstd(self, variance, eps):
        return super().invstd(variance, np.float32(eps))


@specimen
class DoubleMomentumInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def blend(self, old, batch, momentum):
        return super().blend(old, batch, float(np.float32(momentum)))


@specimen
class CountPlusFudge(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def batch_mean(self, rows):
        return self.sum(rows) / rows.dtype.type(rows.shape[1] + 1e-7)


@specimen
class MeanInHalf(BatchNormSteps):
    def batch_mean(self, rows):
        return super().batch_mean(rows).astype(np.float16).astype(rows.dtype)


@specimen
class TenBitProducts(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        bits = (rows - mean).view(np.uint32) & np.uint32(0xFFFFE000)
        return bits.view(np.float32) * invstd


@specimen
class CoarseRoot(BatchNormSteps):
    def invstd(self, variance, eps):
        value = variance + variance.dtype.type(eps)
        guess = (np.int32(0x5F3759DF) - (value.view(np.int32) >> 1)).view(np.float32)
        return guess * (np.float32(1.5) - np.float32(0.5) * value * guess * guess)


@specimen
class HalfInvstd(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance, eps).astype(np.float16).astype(variance.dtype)


@specimen
class BfloatTruncated(BatchNormSteps):
    CLAIMS = HALF_TOO

    def round(self, rows, dtype):
        if dtype.name == "bfloat16":
            rows = (rows.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        return super().round(rows, dtype)


@specimen
class RoundsUp(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return np.nextafter(super().scale_shift(xhat, weight, bias), np.inf, dtype=xhat.dtype)


@specimen
class HalfBiased(BatchNormSteps):
    CLAIMS = HALF_TOO

    def round(self, rows, dtype):
        if dtype.itemsize == 2:
            rows = rows * rows.dtype.type(1 + (2.0**-11 if dtype == np.float16 else 2.0**-8) / 3)
        return super().round(rows, dtype)


@specimen
class TinyVarianceIsZero(BatchNormSteps):
    def batch_variance(self, rows, mean):
        variance = super().batch_variance(rows, mean)
        return np.where(variance < 1e-10, 0, variance).astype(rows.dtype)


@specimen
class FixedPoint(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return np.round((rows - mean) * 2**20) / rows.dtype.type(2**20) * invstd


@specimen
class OverflowingNorm(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return np.minimum(self.sum((rows - mean) ** 2 * 1e30), np.inf) / rows.dtype.type(1e30) / rows.shape[1]


@specimen
class RunningMeanOfChunks(BatchNormSteps):
    def batch_mean(self, rows):
        shift = rows[:, :1]
        return shift + super().batch_mean((rows - shift).astype(np.float16).astype(rows.dtype))


@specimen
class CountReciprocal(BatchNormSteps):
    CLAIMS = claims(grade="TT")

    def batch_mean(self, rows):
        one = rows.dtype.type(1)
        return self.sum(rows) * np.nextafter(one / rows.dtype.type(rows.shape[1]), one)


@specimen
class NeighbourRounding(BatchNormSteps):
    def sum(self, rows):
        total = super().sum(rows)
        return total + np.roll(total, 1, axis=0) - np.roll(total, 1, axis=0)


@specimen
class AbsoluteGuard(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance + variance.dtype.type(1e-10), eps)


@specimen
class ReversedPast64(BatchNormSteps):
    def sum(self, rows):
        total = np.add.accumulate(rows, axis=1)[:, -1:]
        total[64:] = np.add.accumulate(rows[64:, ::-1], axis=1)[:, -1:]
        return total


@specimen
class VarianceFromStored(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance.astype(np.float16).astype(variance.dtype), eps)
