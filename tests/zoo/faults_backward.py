"""Faults of the gradients: missing terms, wrong saved statistics, special sizes."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import HALF_TOO, Saved
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("DxMeanTermMissing", "dx lacks mean(dy)", "", ("G1", "G5")),
    Specimen("DxProjectionMissing", "dx lacks xhat * mean(dy * xhat)", "", ("G1",)),
    Specimen("DxAsInInference", "training dx takes statistics as constants", "facebookresearch/CrypTen#143", ("G1",)),
    Specimen("InferenceDxAsInTraining", "inference dx has training's terms", "pytorch/xla#3361", ("G4",)),
    Specimen("DxProjectionUnbiased", "the projection divides by n - 1", "", ("G1",)),
    Specimen("DxProjectionSign", "the projection is added", "", ("G1",)),
    Specimen("SavesVariance", "saves variance for invstd", "saves-var-not-invstd pytorch/pytorch#94351", ("G1", "G2")),
    Specimen("RootTwice", "applies 1 / sqrt to the saved invstd", "double-rsqrt flagos-ai/FlagGems#5222", ("G1", "G2")),
    Specimen("BackwardEpsMissing", "backward leaves eps out", "eps-missing-backward chainer/chainer#4191", ("G1",)),
    Specimen("DxIgnoresWeight", "dx lacks weight", "", ("G1",)),
    Specimen("DxAbsoluteWeight", "dx has |weight|", "", ("G1",)),
    Specimen("DxOfMeanLoss", "dx is divided by n", "", ("G1",)),
    Specimen("DweightUncentred", "dweight = sum(dy * x * invstd)", "", ("G2",)),
    Specimen("DweightFromY", "dweight = sum(dy * y)", "", ("G2",)),
    Specimen("DweightMean", "dweight is a mean", "", ("G2",)),
    Specimen("DbiasMean", "dbias is a mean", "", ("G3",)),
    Specimen("DbiasNeedsWeight", "without weight dbias is 0", "apache/mxnet#16297", ("G3",)),
    Specimen("DweightOddSizes", "an odd last axis is dropped from dweight", "ROCm/MIOpen#2024", ("G2",)),
    Specimen("Rank2Dx", "rank 2 divides by n - 1", "spatial-mode-2d ROCm/MIOpen#1109", ("G1",)),
    Specimen(
        "DweightClipped", "dweight is clipped to 100", "gamma-grad-nonlinear tensorflow/tensorflow#107705", ("G6",)
    ),
    Specimen("InvertsY", "xhat is recovered as (y - bias) / weight", "gamma-zero-inverse", ("G6",)),
    Specimen("HalfReductions", "half dy is summed in half", "fp16-reduction-backward pytorch/pytorch#195701", ("N2",)),
    Specimen("InferenceDweightUncentred", "inference dweight lacks the mean", "", ("G4",)),
    Specimen("InferenceDxEpsMissing", "inference dx leaves eps out", "", ("G4",)),
    Specimen("InferenceDxMissing", "inference dx is 0", "", ("G4",)),
    Specimen("DyZeroIsNaN", "dx is scaled by dy's largest value, 0 / 0 for dy = 0", "", ("G6",)),
    Specimen("LargeDyClipped", "dy is clipped to [-256, 256]", "", ("G1", "G3")),
    Specimen("NegativeDyDropped", "dy passes a ReLU", "", ("G1", "G3")),
)


@specimen
class DxMeanTermMissing(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, dweight, np.zeros_like(dbias), weight, invstd)


@specimen
class DxProjectionMissing(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, np.zeros_like(dweight), dbias, weight, invstd)


@specimen
class DxAsInInference(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return weight * invstd * dy


@specimen
class InferenceDxAsInTraining(BatchNormSteps):
    def dx_inference(self, dy, rows, weight, invstd, eps):
        xhat = (rows - self.batch_mean(rows)) * invstd
        return self.dx_training(dy, xhat, self.sum(dy * xhat), self.sum(dy), weight, invstd)


@specimen
class DxProjectionUnbiased(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        n = dy.shape[1]
        return super().dx_training(dy, xhat, dweight * (n / (n - 1)), dbias, weight, invstd)


@specimen
class DxProjectionSign(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, -dweight, dbias, weight, invstd)


@specimen
class SavesVariance(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        return Saved(x, weight, bias, mean, variance, variance, eps)


@specimen
class RootTwice(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        return Saved(x, weight, bias, mean, variance, self.invstd(invstd, eps), eps)


@specimen
class BackwardEpsMissing(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        return Saved(x, weight, bias, mean, variance, self.invstd(variance, 0.0), eps)


@specimen
class DxIgnoresWeight(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, dweight, dbias, np.ones_like(weight), invstd)


@specimen
class DxAbsoluteWeight(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, dweight, dbias, np.abs(weight), invstd)


@specimen
class DxOfMeanLoss(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        return super().dx_training(dy, xhat, dweight, dbias, weight, invstd) / dy.shape[1]


@specimen
class DweightUncentred(BatchNormSteps):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if dweight is None or not dy.size:
            return dx, dweight, dbias
        return dx, self.sum(self.read(dy) * self.read(saved.x) * saved.invstd).ravel(), dbias


@specimen
class DweightFromY(BatchNormSteps):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if dweight is None or not dy.size:
            return dx, dweight, dbias
        y = self.scale_shift(self.saved_xhat(self.read(saved.x), saved), saved.weight, saved.bias)
        return dx, self.sum(self.read(dy) * y).ravel(), dbias


@specimen
class DweightMean(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, *rest):
        return super().give(dx, dweight * (dy.shape[1] / dy.size), dbias, dy, *rest)


@specimen
class DbiasMean(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, *rest):
        return super().give(dx, dweight, dbias * (dy.shape[1] / dy.size), dy, *rest)


@specimen
class DbiasNeedsWeight(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, x, weight, bias):
        return super().give(dx, dweight, dbias if weight is not None else dbias * 0, dy, x, weight, bias)


@specimen
class DweightOddSizes(BatchNormSteps):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        last = dy.shape[-1]
        if dweight is None or not dy.size or dy.ndim < 4 or last % 2 == 0 or last < 5:
            return dx, dweight, dbias
        short = dy.copy()
        short[..., -1] = 0
        return dx, super().backward(short, saved)[1], dbias


@specimen
class Rank2Dx(BatchNormSteps):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        n = dy.shape[0]
        return (dx * dx.dtype.type(n / (n - 1)) if dy.ndim == 2 and dy.size else dx), dweight, dbias


@specimen
class DweightClipped(BatchNormSteps):
    def give(self, dx, dweight, dbias, *rest):
        return super().give(dx, np.clip(dweight, -100, 100), dbias, *rest)


@specimen
class InvertsY(BatchNormSteps):
    def saved_xhat(self, rows, saved):
        xhat = super().saved_xhat(rows, saved)
        return xhat if saved.weight is None else xhat * saved.weight[:, None] / saved.weight[:, None]


@specimen
class HalfReductions(BatchNormSteps):
    CLAIMS = HALF_TOO

    def give(self, dx, dweight, dbias, dy, *rest):
        if dy.dtype.itemsize == 2:
            axes = (0, *range(2, dy.ndim))
            dbias = np.add.reduce(dy, axis=axes, dtype=dy.dtype).astype(np.float32)
        return super().give(dx, dweight, dbias, dy, *rest)


@specimen
class InferenceDweightUncentred(BatchNormSteps):
    def dweight_inference(self, dy, rows, mean, invstd):
        return super().dweight_inference(dy, rows, np.zeros_like(mean), invstd)


@specimen
class InferenceDxEpsMissing(BatchNormSteps):
    def dx_inference(self, dy, rows, weight, invstd, eps):
        return super().dx_inference(dy, rows, weight, 1 / np.sqrt(1 / invstd**2 - eps), eps)


@specimen
class InferenceDxMissing(BatchNormSteps):
    def dx_inference(self, dy, rows, weight, invstd, eps):
        return np.zeros_like(dy)


@specimen
class DyZeroIsNaN(BatchNormSteps):
    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        largest = np.abs(dy).max(axis=1, keepdims=True)
        unit = super().dx_training(dy / largest, xhat, dweight / largest, dbias / largest, weight, invstd)
        return unit * largest


@specimen
class LargeDyClipped(BatchNormSteps):
    def read_gradient(self, dy):
        return np.clip(super().read_gradient(dy), -256, 256)


@specimen
class NegativeDyDropped(BatchNormSteps):
    def read_gradient(self, dy):
        return np.maximum(super().read_gradient(dy), 0)
