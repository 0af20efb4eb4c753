"""Faults of the training forward pass: which variance, where eps goes, what weight and bias do."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import HALF_TOO, column
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("UnbiasedY", "y is normalized by the unbiased variance", "y-unbiased tinygrad/tinygrad#774", ("F2", "M8")),
    Specimen("EpsOutsideRoot", "eps is added outside the root", "eps-outside-sqrt Tencent/ncnn#311", ("F3",)),
    Specimen("EpsMissing", "eps is not added at all", "eps-missing-eval", ("F3", "F6")),
    Specimen("EpsRaised", "eps is raised to 1e-5", "eps-clamped-min tensorflow/tensorflow#37768", ("F3",)),
    Specimen("EpsFixed", "eps is always 1e-5", "eps-hardcoded-in-fold", ("F3",)),
    Specimen("EpsAsFloor", "variance is max(variance, eps)", "eps-as-max jax-ml/jax#33496", ("F3",)),
    Specimen("EpsInHalf", "eps passes through float16", "", ("F3",)),
    Specimen("SquareNotRoot", "divides by (variance + eps) squared", "square-not-sqrt jax-ml/jax#442", ("F1", "F3")),
    Specimen("VarianceNotRoot", "divides by variance + eps", "", ("F1",)),
    Specimen("IgnoresWeightAndBias", "y is xhat", "scale-shift flags oneapi-src/oneDNN#276", ("F1", "F4")),
    Specimen("FixedGamma", "weight is taken as 1", "fix-gamma apache/mxnet#1061", ("F1", "F4")),
    Specimen("BiasNeedsWeight", "bias alone is ignored", "bias-only oneapi-src/oneDNN#1717", ("F4",)),
    Specimen("WeightNeedsBias", "weight alone is ignored", "bias-only/weight-only", ("F4",)),
    Specimen("BiasInsideWeight", "y = weight * (xhat + bias)", "", ("F1", "F4")),
    Specimen("AbsoluteWeight", "the sign of weight is lost", "", ("F4",)),
    Specimen("ZeroWeightIsOne", "a weight of 0 counts as absent", "", ("F4",)),
    Specimen("TinyWeightIsZero", "weight below 1e-5 is flushed to 0", "", ("F4",)),
    Specimen("BlendedY", "y uses the blended running statistics", "legacy-mode-blend onnx/onnx#8442", ("F1", "F8")),
    Specimen("RunningY", "training normalizes by running statistics", "patrick-kidger/equinox#659", ("F1", "F8")),
    Specimen("VarianceAboutRunningMean", "variance is taken around the running mean", "", ("F1", "F8")),
    Specimen("InvstdByParameters", "channels of equal weight and bias share the first one's invstd", "", ("M10",)),
    Specimen("InstanceStatistics", "statistics leave the batch axis out", "no-stats apache/tvm#18609", ("F1", "M7")),
    Specimen("LastAxisMissing", "rank 5 reduces one axis too few", "axis-nondefault", ("F1", "M7")),
    Specimen("ChannelsLastGuess", "takes the last axis for channels where its length fits", "", ("F1",)),
    Specimen("ConstantIsNaN", "a variance of 0 gives 0/0", "directml/rocm-zero-var-nan ROCm/pytorch#657", ("F6", "F9")),
    Specimen("ConstantIsZero", "a variance of 0 gives y = 0", "constant-channel-noise", ("F6",)),
    Specimen("OutputInDouble", "y comes back as float64", "", ("F5",)),
    Specimen("OutputFlattened", "y of rank 3 and more loses its last axis", "", ("F5",)),
    Specimen("StatisticsInHalf", "statistics take the dtype of half x", "google-deepmind/dm-haiku", ("F5",)),
    Specimen("GradientsInHalf", "dweight and dbias take the dtype of half x", "", ("F5",)),
    Specimen("ClipsXhat", "xhat is clipped to [-4, 4]", "", ("F1",)),
    Specimen("NormIsL1", "divides by the mean absolute deviation", "", ("F1",)),
    Specimen("MedianNotMean", "centres at the median", "", ("F1",)),
)


@specimen
class UnbiasedY(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        n = rows.shape[1]
        return super().normalize(rows, mean, invstd) * np.sqrt((n - 1) / n)


@specimen
class EpsOutsideRoot(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / (np.sqrt(variance) + variance.dtype.type(eps))


@specimen
class EpsMissing(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / np.sqrt(variance)


@specimen
class EpsRaised(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance, max(eps, 1e-5))


@specimen
class EpsFixed(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance, 1e-5)


@specimen
class EpsAsFloor(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / np.sqrt(np.maximum(variance, variance.dtype.type(eps)))


@specimen
class EpsInHalf(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance, np.float16(eps))


@specimen
class SquareNotRoot(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / (variance + variance.dtype.type(eps)) ** 2


@specimen
class VarianceNotRoot(BatchNormSteps):
    def invstd(self, variance, eps):
        return 1 / (variance + variance.dtype.type(eps))


@specimen
class IgnoresWeightAndBias(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return xhat


@specimen
class FixedGamma(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, None, bias)


@specimen
class BiasNeedsWeight(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, weight, None if weight is None else bias)


@specimen
class WeightNeedsBias(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, None if bias is None else weight, bias)


@specimen
class BiasInsideWeight(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return column(weight, xhat, 1.0) * (xhat + column(bias, xhat, 0.0))


@specimen
class AbsoluteWeight(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, None if weight is None else np.abs(weight), bias)


@specimen
class ZeroWeightIsOne(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, weight if weight is not None and weight.any() else None, bias)


@specimen
class TinyWeightIsZero(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, None if weight is None else np.where(np.abs(weight) < 1e-5, 0, weight), bias)


@specimen
class BlendedY(BatchNormSteps):
    def statistics(self, rows, x, running_mean, running_var, momentum):
        mean, variance = super().statistics(rows, x, running_mean, running_var, momentum)
        return self.blend(running_mean, mean, momentum)[:, None], self.blend(running_var, variance, momentum)[:, None]


@specimen
class RunningY(BatchNormSteps):
    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        _, *rest = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        return self.forward_inference(x, weight, bias, running_mean, running_var, eps=eps), *rest


@specimen
class VarianceAboutRunningMean(BatchNormSteps):
    def statistics(self, rows, x, running_mean, running_var, momentum):
        return self.batch_mean(rows), self.batch_variance(rows, column(running_mean, rows, 0.0))


class _Groups(BatchNormSteps):
    """Statistics of each of several equal parts of a channel, by themselves."""

    def groups(self, x):
        raise NotImplementedError

    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        _, *rest = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        rows = self.read(x)
        parts = rows.reshape(len(rows) * self.groups(x), -1)
        mean = self.batch_mean(parts)
        xhat = self.normalize(parts, mean, self.invstd(self.batch_variance(parts, mean), eps))
        return self.write(self.scale_shift(xhat.reshape(rows.shape), weight, bias), x), *rest


@specimen
class InstanceStatistics(_Groups):
    def groups(self, x):
        return x.shape[0] if x.ndim > 2 else 1


@specimen
class LastAxisMissing(_Groups):
    def groups(self, x):
        return x.shape[0] * x.shape[2] if x.ndim == 5 else 1


@specimen
class ChannelsLastGuess(BatchNormSteps):
    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        if x.ndim == 2 or x.shape[-1] != x.shape[1]:
            return super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        y, *rest = super().train(np.moveaxis(x, -1, 1), weight, bias, running_mean, running_var, momentum, eps)
        return np.moveaxis(y, 1, -1), *rest


@specimen
class ConstantIsNaN(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        spread = np.abs(rows - mean).max(axis=1, keepdims=True)
        return (rows - mean) / spread * (spread * invstd)


@specimen
class ConstantIsZero(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return np.where(np.ptp(xhat, axis=1, keepdims=True) == 0, 0, super().scale_shift(xhat, weight, bias))


@specimen
class OutputInDouble(BatchNormSteps):
    def write(self, rows, like):
        return super().write(rows, like).astype(np.float64)


@specimen
class OutputFlattened(BatchNormSteps):
    def write(self, rows, like):
        y = super().write(rows, like)
        return y.reshape(*y.shape[:-2], -1) if y.ndim > 2 and y.size else y


@specimen
class StatisticsInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def update(self, x, *rest):
        return tuple(array.astype(x.dtype) for array in super().update(x, *rest))


@specimen
class GradientsInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def give(self, dx, dweight, dbias, dy, *rest):
        return super().give(dx, dweight.astype(dy.dtype), dbias.astype(dy.dtype), dy, *rest)


@specimen
class ClipsXhat(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return np.clip(super().normalize(rows, mean, invstd), -4, 4)


@specimen
class NormIsL1(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return self.batch_mean(np.abs(rows - mean)) ** 2


@specimen
class MedianNotMean(BatchNormSteps):
    def batch_mean(self, rows):
        return np.median(rows, axis=1, keepdims=True).astype(rows.dtype)


@specimen
class InvstdByParameters(BatchNormSteps):
    def train(self, x, weight, bias, *rest):
        self.keys = None if weight is None or bias is None else list(zip(weight.tolist(), bias.tolist(), strict=True))
        return super().train(x, weight, bias, *rest)

    def invstd(self, variance, eps):
        invstd = super().invstd(variance, eps)
        if self.keys is None:
            return invstd
        first = {key: i for i, key in reversed(list(enumerate(self.keys)))}
        return invstd[[first[key] for key in self.keys]]
