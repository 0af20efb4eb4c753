"""Blind faults of arithmetic: one pass, roots, half types on the way, sums in another order."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import DOUBLE_TOO, HALF_TOO, Saved, column
from specimen import specimen


def _clamped_one_pass(steps, rows, mean):
    return np.maximum(steps.batch_mean(rows * rows) - mean * mean, 0)


def _through(array, dtype):
    return None if array is None else array.astype(dtype).astype(array.dtype)


@specimen
class NewtonFromOne(BatchNormSteps):
    def invstd(self, variance, eps):
        value = variance + variance.dtype.type(eps)
        guess = 1 / np.maximum(value, 1)
        for _ in range(24):
            guess = guess * (value.dtype.type(1.5) - value.dtype.type(0.5) * value * guess * guess)
        return guess


@specimen
class VarianceSaturatesAtHalf(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return np.minimum(super().batch_variance(rows, mean), 65504)


@specimen
class YSaturates(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return np.clip(super().scale_shift(xhat, weight, bias), -65504, 65504)


@specimen
class OnePassWhenLong(BatchNormSteps):
    def batch_variance(self, rows, mean):
        return _clamped_one_pass(self, rows, mean) if rows.shape[1] >= 512 else super().batch_variance(rows, mean)


@specimen
class OnePassChannelsLast(BatchNormSteps):
    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        channels_last = x.ndim > 2 and x.shape[1] > 1 and x.strides[1] == x.itemsize
        return mean, _clamped_one_pass(self, rows, mean) if channels_last else variance


@specimen
class ShiftedByRunningMean(BatchNormSteps):
    def statistics(self, rows, x, running_mean, *rest):
        shift = column(running_mean, rows, 0.0)
        mean = self.batch_mean(rows - shift)
        return mean + shift, _clamped_one_pass(self, rows - shift, mean)


@specimen
class ClipsOutliers(BatchNormSteps):
    def normalize(self, rows, mean, invstd):
        return np.clip(super().normalize(rows, mean, invstd), -10, 10)


@specimen
class HalfMeanOfDy(BatchNormSteps):
    CLAIMS = HALF_TOO

    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if dy.dtype.itemsize == 2 and dy.size:
            gradient, rows = self.read_gradient(dy), self.read(saved.x)
            xhat, n = self.saved_xhat(rows, saved), rows.shape[1]
            total = _through(self.sum(gradient) / n, dy.dtype) * n
            weight = column(saved.weight, rows, 1.0)
            columns = self.dweight(gradient, xhat), total, weight, saved.invstd
            dx = self.write(self.dx_training(gradient, xhat, *columns), dy)
        return dx, dweight, dbias


@specimen
class HalfProducts(BatchNormSteps):
    CLAIMS = HALF_TOO

    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if dy.dtype.itemsize == 2 and dy.size and dweight is not None:
            products = self.read(dy) * self.saved_xhat(self.read(saved.x), saved)
            dweight = self.sum(_through(products, dy.dtype)).ravel()
        return dx, dweight, dbias


@specimen
class DbiasAloneInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def give(self, dx, dweight, dbias, dy, x, weight, bias):
        if dy.dtype.itemsize == 2 and weight is None:
            axes = (0, *range(2, dy.ndim))
            dbias = np.add.reduce(dy, axis=axes, dtype=dy.dtype).astype(np.float32)
        return super().give(dx, dweight, dbias, dy, x, weight, bias)


@specimen
class SavedInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def save(self, x, weight, bias, mean, variance, invstd, eps):
        mean, invstd = (_through(one, x.dtype) if x.dtype.itemsize == 2 else one for one in (mean, invstd))
        return Saved(x, weight, bias, mean, variance, invstd, eps)


@specimen
class ParametersInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def forward_training(self, x, weight, bias, *rest, **scalars):
        return super().forward_training(x, _through(weight, x.dtype), _through(bias, x.dtype), *rest, **scalars)

    def forward_inference(self, x, weight, bias, *rest, **scalars):
        return super().forward_inference(x, _through(weight, x.dtype), _through(bias, x.dtype), *rest, **scalars)


@specimen
class MomentumInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        momentum = float(x.dtype.type(momentum))
        return super().update(x, running_mean, running_var, mean, variance, momentum, eps)


@specimen
class HalfSubnormalsFlushed(BatchNormSteps):
    CLAIMS = HALF_TOO

    def read(self, array):
        rows = super().read(array)
        return np.where(np.abs(rows) < 2.0**-14, 0, rows).astype(rows.dtype) if array.dtype == np.float16 else rows


@specimen
class BfloatThroughFloat16(BatchNormSteps):
    CLAIMS = HALF_TOO

    def read(self, array):
        rows = super().read(array)
        return _through(rows, np.float16) if array.dtype.name == "bfloat16" else rows


@specimen
class DoubleSavedInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def save(self, x, weight, bias, mean, variance, invstd, eps):
        return Saved(x, weight, bias, _through(mean, np.float32), variance, _through(invstd, np.float32), eps)


@specimen
class DoubleInferenceInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def inference_invstd(self, variance, eps):
        return super().inference_invstd(variance.astype(np.float32), eps).astype(variance.dtype)


@specimen
class DoubleStatisticsInSingle(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def blend(self, old, batch, momentum):
        return super().blend(old.astype(np.float32), batch, momentum).astype(old.dtype)


@specimen
class DbiasInTensorFloat(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, *rest):
        cut = (self.read(dy).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
        return super().give(dx, dweight, self.sum(cut), dy, *rest)


@specimen
class TinyDyFlushed(BatchNormSteps):
    def read_gradient(self, dy):
        gradient = super().read_gradient(dy)
        return np.where(np.abs(gradient) < 1e-6, 0, gradient).astype(gradient.dtype)


@specimen
class AtomicsWhenLong(BatchNormSteps):
    def sum(self, rows):
        if rows.shape[1] < 2048:
            return super().sum(rows)
        order = np.random.default_rng().permutation(rows.shape[1])
        return np.add.accumulate(rows[:, order], axis=1)[:, -1:]
