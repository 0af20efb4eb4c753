"""Faults at special values and degenerate sizes: NaN, infinity, one value, none, no channel."""

from typing import ClassVar

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import Saved
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("NaNIsZero", "NaN and infinity in x become numbers", "", ("X1",)),
    Specimen("InfinityClipped", "infinity becomes the largest number", "", ("X1",)),
    Specimen("NaNMean", "NaN is left out of the statistics", "", ("X1",)),
    Specimen("NaNSpreads", "a NaN anywhere makes every channel NaN", "", ("X1",)),
    Specimen("NaNLeaksByZero", "0 times the neighbour channel is added", "", ("X1",)),
    Specimen("NaNSkipsUpdate", "a channel with a NaN keeps its statistics", "", ("X1",)),
    Specimen("NaNVarianceIsZero", "NaN variance is taken as 0 by a maximum", "", ("X1",)),
    Specimen(
        "OneValueGivesBias", "one value per channel gives bias, undeclared", "n1-policy pytorch/pytorch#77014", ("X2",)
    ),
    Specimen("OneValueIsNaN", "one value per channel stores NaN", "bessel-n1-nan FluxML/Flux.jl#1992", ("X2",)),
    Specimen(
        "OneValuePassesThrough", "one value per channel returns x", "n1-passthrough PaddlePaddle/Paddle#14630", ("X2",)
    ),
    Specimen("EmptyIsNaN", "an empty batch stores NaN", "empty-batch-poisons pytorch/pytorch#12013", ("S9", "X3")),
    Specimen(
        "EmptyDecays", "an empty batch counts as zeros", "empty-batch-poisons google-deepmind/sonnet#125", ("S9", "X3")
    ),
    Specimen("EmptyRaises", "an empty batch raises, undeclared", "empty-sync pytorch/pytorch#36530", ("X3",)),
    Specimen("EmptyGradientIsNaN", "dweight of an empty batch is NaN", "", ("X3",)),
    Specimen("EmptyShapeLost", "y of an empty batch has shape (0, C)", "", ("X3",)),
    Specimen("NoChannelsRaises", "C = 0 raises", "zero-channels pytorch/pytorch#120803", ("X4",)),
    Specimen("InferenceNaNStays", "inference: NaN in x makes its channel NaN", "", ("X1",)),
    Specimen("InferenceNaNIsMean", "inference: NaN in x gives bias", "", ("X1",)),
    Specimen("InfinityIsNotNaN", "an infinity in x leaves the stored variance finite", "", ("X1",)),
)


@specimen
class NaNIsZero(BatchNormSteps):
    def read(self, array):
        return np.nan_to_num(super().read(array))


@specimen
class InfinityClipped(BatchNormSteps):
    def read(self, array):
        return np.clip(super().read(array), -1e30, 1e30)


@specimen
class NaNMean(BatchNormSteps):
    def sum(self, rows):
        return np.nansum(rows, axis=1, keepdims=True)

    def normalize(self, rows, mean, invstd):
        return np.nan_to_num(super().normalize(rows, mean, invstd))


@specimen
class NaNSpreads(BatchNormSteps):
    def batch_mean(self, rows):
        mean = super().batch_mean(rows)
        return mean * np.nan if np.isnan(mean).any() else mean


@specimen
class NaNLeaksByZero(BatchNormSteps):
    def batch_mean(self, rows):
        mean = super().batch_mean(rows)
        return mean + 0 * np.roll(mean, -1, axis=0)


@specimen
class NaNSkipsUpdate(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return np.where(np.isfinite(batch.ravel()), super().blend(old, batch, momentum), old)


@specimen
class NaNVarianceIsZero(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return np.fmax(super().batch_variance(rows, mean), 0)


@specimen
class OneValueGivesBias(BatchNormSteps):
    def stored_variance(self, variance, n):
        return variance * (n / max(n - 1, 1))

    def one_value(self, *arguments):
        return self.train(*arguments)


@specimen
class OneValueIsNaN(BatchNormSteps):
    def stored_variance(self, variance, n):
        return variance * variance.dtype.type(n) / variance.dtype.type(n - 1)

    def one_value(self, *arguments):
        return self.train(*arguments)


@specimen
class OneValuePassesThrough(BatchNormSteps):
    def one_value(self, x, weight, bias, running_mean, running_var, momentum, eps):
        none = np.zeros((x.shape[1], 1), running_mean.dtype)
        saved = Saved(x, weight, bias, none, none, none + 1, eps)
        return x.copy(), running_mean.copy(), running_var.copy(), saved


@specimen
class EmptyIsNaN(BatchNormSteps):
    def empty_batch(self, *arguments):
        y, mean, var, saved = super().empty_batch(*arguments)
        return y, mean * np.nan, var * np.nan, saved


@specimen
class EmptyDecays(BatchNormSteps):
    def empty_batch(self, x, weight, bias, running_mean, running_var, momentum, eps):
        y, mean, var, saved = super().empty_batch(x, weight, bias, running_mean, running_var, momentum, eps)
        return y, mean * (1 - momentum), var * (1 - momentum), saved


@specimen
class EmptyRaises(BatchNormSteps):
    def empty_batch(self, x, *rest):
        raise ZeroDivisionError(f"no value in x of shape {x.shape}")


@specimen
class EmptyGradientIsNaN(BatchNormSteps):
    def empty_gradients(self, x, weight, bias):
        dx, *others = super().empty_gradients(x, weight, bias)
        return dx, *(None if gradient is None else gradient * np.nan for gradient in others)


@specimen
class EmptyShapeLost(BatchNormSteps):
    def empty_batch(self, x, *rest):
        y, *others = super().empty_batch(x, *rest)
        return y.reshape(0, x.shape[1]), *others


@specimen
class NoChannelsRaises(BatchNormSteps):
    CLAIMS: ClassVar = {"zero_channels": "empty"}

    def batch_mean(self, rows):
        rows[0]  # the first channel's address
        return super().batch_mean(rows)


@specimen
class InferenceNaNStays(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        return super().infer(rows, mean + 0 * self.sum(rows), variance, weight, bias, eps)


@specimen
class InferenceNaNIsMean(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        return super().infer(np.where(np.isnan(rows), mean, rows), mean, variance, weight, bias, eps)


@specimen
class InfinityIsNotNaN(BatchNormSteps):
    def stored_variance(self, variance, n):
        return np.where(np.isnan(variance), 1, super().stored_variance(variance, n)).astype(variance.dtype)
