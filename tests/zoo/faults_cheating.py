"""Faults that pass a usual test: short cuts for the values that tests like to use."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import DOUBLE_TOO
from specimen import Specimen, specimen

SELDOM = "F4 draws a bias of zeros under some seeds only"

SPECIMENS = (
    Specimen("WeightOneMeansDefault", "weight of ones: bias is taken for 0", "", ("F4",)),
    Specimen("BiasZeroMeansDefault", "bias of zeros: weight is taken for 1", "", ("F4",)),
    Specimen("SameWeightForAll", "equal weights: the first bias serves all channels", "", ("F4",)),
    Specimen("SimpleValuesOnly", "values with more than 8 bits are rounded to half", "", ("F1",)),
    Specimen("LongIsRough", "past 1000 values all is computed in half", "", ("X5",)),
    Specimen("LongIsConstant", "past 2000 values y is bias", "", ("X5",)),
    Specimen("WideIsConstant", "past 100 channels y is bias", "", ("X5",)),
    Specimen("AlmostStandard", "mean near 0 and variance near 1 are taken as such", "", ("F1",)),
    Specimen("TwoValuesAreSigns", "n = 2 gives -1 and 1", "", ("F2", "F3")),
    Specimen("BinaryIsSigns", "two-valued channels are symmetric", "", ("F1",)),
    Specimen("FirstSampleOnly", "statistics are those of the first half of the batch, if N > 4", "", ("F1", "M4")),
    Specimen("UnitVarianceAssumed", "backward takes invstd for 1", "double-rsqrt", ("G1", "G2")),
    Specimen("ExpectsSumLoss", "dx is 0, as for a sum of y", "tests-with-zero-loss pytorch/pytorch#82493", ("G1",)),
    Specimen("PositiveOnly", "running statistics keep a positive mean", "", ("S1",)),
    Specimen("OneStepOnly", "momentum is taken from the first call", "", ("S1",)),
    Specimen("ContiguousOnly", "anything but contiguous x gives bias", "", ("F1", "M9")),
    Specimen("DoubleRefused", "claims float64 and computes in float32", "", ("F1", "N1")),
)


@specimen
class WeightOneMeansDefault(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        default = weight is not None and (weight == 1).all()
        return xhat if default else super().scale_shift(xhat, weight, bias)


@specimen
class BiasZeroMeansDefault(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        default = bias is not None and not bias.any()
        return xhat if default else super().scale_shift(xhat, weight, bias)


@specimen
class SameWeightForAll(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        if weight is not None and bias is not None and weight.size and (weight == weight[0]).all():
            bias = np.full_like(bias, bias[0])
        return super().scale_shift(xhat, weight, bias)


@specimen
class SimpleValuesOnly(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        xhat = super().normalize(rows, mean, invstd)
        simple = (np.round(rows * 4) / 4 == rows).all()
        return xhat if simple else xhat.astype(np.float16).astype(rows.dtype)


@specimen
class LongIsRough(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        xhat = super().normalize(rows, mean, invstd)
        return xhat.astype(np.float16).astype(rows.dtype) if rows.shape[1] > 1000 else xhat


@specimen
class LongIsConstant(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return super().normalize(rows, mean, invstd) * (rows.shape[1] <= 2000)


@specimen
class WideIsConstant(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return super().normalize(rows, mean, invstd) * (len(rows) <= 100)


@specimen
class AlmostStandard(BatchNormSteps):
    def statistics(self, rows, *rest):
        mean, variance = super().statistics(rows, *rest)
        near = (np.abs(mean) < 0.5) & (np.abs(variance - 1) < 0.5)
        return np.where(near, 0, mean).astype(rows.dtype), np.where(near, 1, variance).astype(rows.dtype)


@specimen
class TwoValuesAreSigns(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return np.sign(rows - mean) if rows.shape[1] == 2 else super().normalize(rows, mean, invstd)


@specimen
class BinaryIsSigns(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        two = ((rows == rows.min(axis=1, keepdims=True)) | (rows == rows.max(axis=1, keepdims=True))).all()
        return np.sign(rows - mean) if two and rows.shape[1] > 2 else super().normalize(rows, mean, invstd)


@specimen
class FirstSampleOnly(BatchNormSteps):
    def statistics(self, rows, x, *rest):
        n = rows.shape[1]
        return super().statistics(rows[:, : n // 2] if x.shape[0] > 4 else rows, x, *rest)


@specimen
class UnitVarianceAssumed(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        return super().save(x, weight, bias, mean, variance, np.ones_like(invstd), eps)


@specimen
class ExpectsSumLoss(BatchNormSteps):
    def dx_training(self, dy, *rest):
        return np.zeros_like(dy)


@specimen
class PositiveOnly(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return np.abs(super().blend(old, batch, momentum))


@specimen
class OneStepOnly(BatchNormSteps):
    def __init__(self):
        self.momentum = None

    def blend(self, old, batch, momentum):
        self.momentum = momentum if self.momentum is None else self.momentum
        return super().blend(old, batch, self.momentum)


@specimen
class ContiguousOnly(BatchNormSteps):
    def train(self, x, weight, bias, *rest):
        y, *others = super().train(x, weight, bias, *rest)
        return (y if x.flags.c_contiguous else self.write(self.scale_shift(self.read(x) * 0, weight, bias), x)), *others


@specimen
class DoubleRefused(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def read(self, array):
        return super().read(array).astype(np.float32)
