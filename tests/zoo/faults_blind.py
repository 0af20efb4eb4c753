"""Faults written without sight of the generators, to learn what the laws miss."""

import threading
from math import prod
from time import sleep
from typing import NamedTuple

import numpy as np
from batch_norm_steps import BatchNormSteps
from numpy.lib.stride_tricks import as_strided
from rows_and_columns import DOUBLE_TOO, HALF_TOO, Saved, accumulator, column, values_per_channel
from specimen import Specimen, specimen

SPECIMENS = (
    # Sizes and shapes.
    Specimen("PointwiseSkipsUpdate", "planes of 1 x 1: the running statistics stay", "", ("S1",)),
    Specimen("SingleChannelUnbiased", "C = 1: the library's unbiased variance serves", "", ("F1", "F2")),
    Specimen("VectorTailOf4", "W = 12, 20, 28: the last 4-wide vector of a line is not summed", "", ("X5",)),
    Specimen("BatchBlockOffByOne", "N = 16 k + 1 past 16: the last sample is not summed", "", ("X5",)),
    Specimen("SplitDropsLast", "up to 2 channels of 512 values or more: halves of an odd n drop one", "", ("X5",)),
    Specimen("PlaneIndexInInt16", "H W past 32767: the rest of the plane is not summed", "", ("X5",)),
    Specimen("SampleOffsetIn16Bits", "n C H W is taken modulo 65536 where statistics read x", "", ("X5",)),
    Specimen("ChannelCountInByte", "C = 256 k: no channel is written", "", ("X5",)),
    Specimen("HalfPairsCrossChannels", "float16, odd plane: the mean takes the next channel's first too", "", ("F1",)),
    Specimen("GradientAxisBySearch", "dbias keeps the first axis of length C, which is N where N = C", "", ("G3",)),
    Specimen("SqueezedBatch", "N = 1 and H = C: the squeezed x is read as (N, C, L)", "", ("F4",)),
    # Arithmetic.
    Specimen("NewtonFromOne", "24 Newton steps from 1: too few past 1e7 and below 1e-7", "", ("F1", "M2")),
    Specimen("VarianceSaturatesAtHalf", "variance is at most 65504", "", ("F1",)),
    Specimen("YSaturates", "float32 y is at most 65504", "", ("I1", "I4")),
    Specimen("OnePassWhenLong", "from 512 values on, variance is E[x^2] - E[x]^2, clamped", "", ("N1",)),
    Specimen("OnePassChannelsLast", "the same, for channels last only", "", ("N1",)),
    Specimen("ShiftedByRunningMean", "one-pass variance about the running mean", "", ("N1", "F8")),
    Specimen("ClipsOutliers", "xhat is clipped to [-10, 10]", "", ("N1",)),
    Specimen("HalfMeanOfDy", "half: mean(dy) is rounded to dy's dtype", "", ("N2", "G1")),
    Specimen("HalfProducts", "half: products dy * xhat are rounded before they are summed", "", ("N2", "G2")),
    Specimen("DbiasAloneInHalf", "half: without weight, dbias is summed in half", "", ("N2", "G3")),
    Specimen("SavedInHalf", "half: mean and invstd are saved in x's dtype", "", ("N2", "G1")),
    Specimen("ParametersInHalf", "half: weight and bias pass through x's dtype", "", ("F1", "F4")),
    Specimen("MomentumInHalf", "half: momentum passes through x's dtype", "", ("S1",)),
    Specimen("HalfSubnormalsFlushed", "float16 subnormals in x are taken for 0", "", ("N3",)),
    Specimen("BfloatThroughFloat16", "bfloat16 x is read through float16's range", "", ("N3",)),
    Specimen("DoubleSavedInSingle", "float64: mean and invstd are saved in float32", "", ("G1", "G2")),
    Specimen("DoubleInferenceInSingle", "float64: inference's root is taken in float32", "", ("I1",)),
    Specimen("DoubleStatisticsInSingle", "float64: the running statistics are blended in float32", "", ("S1",)),
    Specimen("DbiasInTensorFloat", "dbias sums dy cut to 10 bits", "", ("G3",)),
    Specimen("TinyDyFlushed", "dy below 1e-6 is taken for 0", "", ("G1",)),
    Specimen("AtomicsWhenLong", "from 2048 values on, sums run in a random order", "", ("P2",)),
    # Short cuts and guards.
    Specimen("DeadChannelKeepsStatistics", "a channel of zeros keeps its running statistics", "", ("S1",)),
    Specimen("PrunedChannelKeepsStatistics", "a channel of weight 0 keeps its running statistics", "", ("S1",)),
    Specimen("ZeroDySkipped", "dx is 0 where dy is 0", "", ("G1",)),
    Specimen("StaleZeroChannel", "dweight of a channel with dy = 0 is the last call's", "", ("P3",)),
    Specimen("ConstantChannelNoGradient", "a constant channel's dx is 0", "", ("G6",)),
    Specimen("TwoValuesNoGradient", "n = 2: dx is 0", "", ("G1",)),
    Specimen("UnitVarianceSkipsEps", "running_var = 1: eps is left out", "", ("I1",)),
    Specimen("MomentumConventionGuessed", "momentum past 0.5 is taken for the old value's weight", "", ("S1",)),
    Specimen("MomentumClipped", "momentum is at most 0.99", "", ("F7", "S2")),
    Specimen("EpsCeiling", "eps is at most 0.01", "", ("F3",)),
    Specimen("BesselByBatch", "stored variance is corrected by N / (N - 1)", "", ("S1", "S2")),
    Specimen("BesselSkippedWhenLong", "past 1000 values the stored variance is biased", "", ("X5",)),
    Specimen("RunningVarFloored", "running_var is at least 1e-6", "", ("S1",)),
    Specimen("MinusInfinityClipped", "-infinity in x becomes the lowest number", "", ("X1",)),
    Specimen("NaNGradientDropped", "NaN and infinity in dy become 0", "", ("X1",)),
    Specimen("BrokenRunningVarGuarded", "a NaN in running_var counts as 0", "", ("X1",)),
    # Memory.
    Specimen("FlippedReadForward", "negative strides are read forward", "", ("M9",)),
    Specimen("ReadOnlyRefused", "a read-only x raises", "", ("P1",)),
    Specimen("FortranReadAsC", "Fortran order is read as C order", "", ("M9", "F1")),
    Specimen("StridedWeightReadDense", "a strided weight is read as if dense", "", ("M9",)),
    Specimen("StridedStatisticsReadDense", "inference reads strided running statistics as if dense", "", ("S7",)),
    Specimen("InferenceExpandedDyOnce", "inference: a stride-0 dy counts once in dbias", "", ("G4",)),
    Specimen("InferenceReadsMemoryOrder", "inference reads x in the order of memory", "", ("I1",)),
    Specimen("InferenceInPlace", "inference writes y over x", "", ("P1",)),
    Specimen("OneSampleDbiasIsView", "inference, one row: dbias is a view of dy", "", ("P4",)),
    # State.
    Specimen("FoldByChecksum", "inference's invstd is kept by a sum over running_var's bits", "", ("M5",)),
    Specimen("FoldByMean", "inference's variance is kept by the running mean", "", ("P3",)),
    Specimen("StatisticsByAddress", "statistics are kept by x's address, shape and strides", "", ("P3",)),
    Specimen("DtypeKept", "the accumulator's dtype is kept by x's shape", "", ("P3",)),
    Specimen("BusyAfterError", "after a call that raised, no step updates", "", ("S8",)),
    Specimen("EvalFreezes", "the first step after an inference does not update", "", ("S4", "P3")),
    Specimen("TwoSlotsForSaved", "the third forward overwrites what the first saved", "", ("G9",)),
    Specimen("BackwardScratchShared", "backward's sums lie in one place for all threads", "", ("P7",)),
    Specimen("BackwardNeedsForwardThread", "backward in another thread takes invstd for 1", "", ("P7",)),
    # Refusals.
    Specimen("InferenceLengthOneBroadcasts", "inference: a running_mean of length 1 serves all", "", ("E1",)),
    Specimen("VarianceLengthUnchecked", "a running_var of length 1 serves all", "", ("E1",)),
    Specimen("DyReshaped", "a dy of x's size but another shape is reshaped", "", ("E1",)),
)


def _clamped_one_pass(steps, rows, mean):
    return np.maximum(steps.batch_mean(rows * rows) - mean * mean, 0)


def _through(array, dtype):
    return None if array is None else array.astype(dtype).astype(array.dtype)


def _dense(vector):
    """What lies in memory from the vector's first value on."""
    strided = vector is not None and vector.size > 1 and vector.strides[0] > vector.itemsize
    return as_strided(vector, strides=(vector.itemsize,)) if strided else vector


@specimen
class PointwiseSkipsUpdate(BatchNormSteps):
    def update(self, x, running_mean, running_var, *rest):
        if running_mean is not None and x.ndim > 2 and prod(x.shape[2:]) == 1:
            return running_mean.copy(), running_var.copy()
        return super().update(x, running_mean, running_var, *rest)


@specimen
class SingleChannelUnbiased(BatchNormSteps):
    def batch_variance(self, rows, mean):
        n = rows.shape[1]
        return super().batch_variance(rows, mean) * rows.dtype.type(n / max(n - 1, 1) if len(rows) == 1 else 1)


class _OfAPart(BatchNormSteps):
    """Statistics of a part of x."""

    def part(self, x):
        raise NotImplementedError

    def statistics(self, rows, x, *rest):
        return super().statistics(self.read(self.part(x)), x, *rest)


@specimen
class VectorTailOf4(_OfAPart):
    def part(self, x):
        vectors, left = divmod(x.shape[-1], 4)
        return x[..., :-4] if x.ndim > 2 and not left and vectors > 1 and vectors % 2 else x


@specimen
class BatchBlockOffByOne(_OfAPart):
    def part(self, x):
        return x[:-1] if x.shape[0] > 16 and x.shape[0] % 16 == 1 else x


@specimen
class SplitDropsLast(BatchNormSteps):
    def statistics(self, rows, *rest):
        n = rows.shape[1]
        return super().statistics(rows[:, : n - n % 2] if len(rows) <= 2 and n >= 512 else rows, *rest)


@specimen
class PlaneIndexInInt16(_OfAPart):
    def part(self, x):
        flat = x.reshape(*x.shape[:2], prod(x.shape[2:]))
        return flat[..., :32767] if flat.shape[2] > 32767 else x


@specimen
class SampleOffsetIn16Bits(_OfAPart):
    def part(self, x):
        sample = prod(x.shape[1:])
        if x.size <= 65536:
            return x
        flat = np.ravel(x)
        starts = [n * sample % 65536 for n in range(x.shape[0])]
        return np.stack([flat[start : start + sample].reshape(x.shape[1:]) for start in starts])


@specimen
class ChannelCountInByte(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, weight, bias) * (len(xhat) % 256 > 0)


@specimen
class HalfPairsCrossChannels(BatchNormSteps):
    CLAIMS = HALF_TOO

    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        plane = prod(x.shape[2:])
        if x.dtype == np.float16 and plane > 1 and plane % 2:
            firsts = np.roll(rows.reshape(len(rows), -1, plane)[:, :, 0], -1, axis=0)
            mean = mean + self.sum(firsts) / rows.shape[1]
        return mean, variance


@specimen
class GradientAxisBySearch(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, *rest):
        if dy.shape.index(dy.shape[1]) == 0:
            dbias = self.sum(self.read(np.swapaxes(dy, 0, 1)))
        return super().give(dx, dweight, dbias, dy, *rest)


@specimen
class SqueezedBatch(_OfAPart):
    def part(self, x):
        return x[0] if x.shape[0] == 1 and x.ndim > 3 and x.shape[2] == x.shape[1] else x


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


class _SomeKeepTheirStatistics(BatchNormSteps):
    """Some channels are passed over when the statistics move."""

    def passed_over(self, x, weight):
        raise NotImplementedError

    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        y, mean, var, saved = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        if mean is not None:
            passed = self.passed_over(x, weight)
            mean, var = np.where(passed, running_mean, mean), np.where(passed, running_var, var)
        return y, mean, var, saved


@specimen
class DeadChannelKeepsStatistics(_SomeKeepTheirStatistics):
    def passed_over(self, x, weight):
        return ~(self.read(x) != 0).any(axis=1)


@specimen
class PrunedChannelKeepsStatistics(_SomeKeepTheirStatistics):
    def passed_over(self, x, weight):
        return False if weight is None else weight == 0


@specimen
class ZeroDySkipped(BatchNormSteps):
    def dx_training(self, dy, *rest):
        return np.where(dy == 0, 0, super().dx_training(dy, *rest)).astype(dy.dtype)


@specimen
class StaleZeroChannel(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def give(self, dx, dweight, dbias, dy, *rest):
        live = (self.read(dy) != 0).any(axis=1, keepdims=True)
        last = self.kept.get(len(dweight), np.zeros_like(dweight))
        self.kept[len(dweight)] = dweight = np.where(live, dweight, last)
        return super().give(dx, dweight.copy(), dbias, dy, *rest)


@specimen
class ConstantChannelNoGradient(BatchNormSteps):
    def dx_training(self, dy, xhat, *rest):
        varies = (xhat != 0).any(axis=1, keepdims=True)
        return np.where(varies, super().dx_training(dy, xhat, *rest), 0).astype(dy.dtype)


@specimen
class TwoValuesNoGradient(BatchNormSteps):
    def dx_training(self, dy, *rest):
        return super().dx_training(dy, *rest) if dy.shape[1] != 2 else np.zeros_like(dy)


@specimen
class UnitVarianceSkipsEps(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return np.where(variance == 1, 1, super().inference_invstd(variance, eps)).astype(variance.dtype)


@specimen
class MomentumConventionGuessed(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, 1 - momentum if momentum > 0.5 else momentum)


@specimen
class MomentumClipped(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, min(momentum, 0.99))


@specimen
class EpsCeiling(BatchNormSteps):
    def invstd(self, variance, eps):
        return super().invstd(variance, min(eps, 0.01))


@specimen
class BesselByBatch(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        n, samples = values_per_channel(x), x.shape[0]
        shrunk = variance * variance.dtype.type((n - 1) / n * samples / max(samples - 1, 1))
        return super().update(x, running_mean, running_var, mean, shrunk, momentum, eps)


@specimen
class BesselSkippedWhenLong(BatchNormSteps):
    def stored_variance(self, variance, n):
        return super().stored_variance(variance, n) if n <= 1000 else variance


@specimen
class RunningVarFloored(BatchNormSteps):
    def update(self, *arguments):
        mean, var = super().update(*arguments)
        return mean, None if var is None else np.maximum(var, var.dtype.type(1e-6))


@specimen
class MinusInfinityClipped(BatchNormSteps):
    def read(self, array):
        rows = super().read(array)
        return np.maximum(rows, np.finfo(rows.dtype).min)


@specimen
class NaNGradientDropped(BatchNormSteps):
    def read_gradient(self, dy):
        gradient = super().read_gradient(dy)
        return np.where(np.isfinite(gradient), gradient, 0).astype(gradient.dtype)


@specimen
class BrokenRunningVarGuarded(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return super().inference_invstd(np.where(variance > 0, variance, 0).astype(variance.dtype), eps)


@specimen
class FlippedReadForward(BatchNormSteps):
    def read(self, array):
        return super().read(np.flip(array, [axis for axis, stride in enumerate(array.strides) if stride < 0]))


@specimen
class ReadOnlyRefused(BatchNormSteps):
    def check_call(self, x, eps, **per_channel):
        if not x.flags.writeable:
            raise ValueError("buffer source array is read-only")
        super().check_call(x, eps, **per_channel)


@specimen
class FortranReadAsC(BatchNormSteps):
    def read(self, array):
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        return super().read(array.ravel(order="K").reshape(array.shape) if fortran else array)


@specimen
class StridedWeightReadDense(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, _dense(weight), bias)


@specimen
class StridedStatisticsReadDense(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        return super().forward_inference(x, weight, bias, _dense(running_mean), _dense(running_var), eps=eps)


@specimen
class InferenceExpandedDyOnce(BatchNormSteps):
    def backward_inference(self, dy, *rest, eps):
        dx, dweight, dbias = super().backward_inference(dy, *rest, eps=eps)
        if dbias is not None and dy.size and dy.strides[0] == 0:
            dbias = dbias / dbias.dtype.type(dy.shape[0])
        return dx, dweight, dbias


@specimen
class InferenceReadsMemoryOrder(BatchNormSteps):
    def forward_inference(self, x, *rest, eps):
        return super().forward_inference(x.ravel(order="K").reshape(x.shape), *rest, eps=eps)


@specimen
class InferenceInPlace(BatchNormSteps):
    def forward_inference(self, x, *rest, eps):
        y = super().forward_inference(x, *rest, eps=eps)
        if not x.flags.writeable:
            return y
        x[...] = y
        return x


@specimen
class OneSampleDbiasIsView(BatchNormSteps):
    def backward_inference(self, dy, *rest, eps):
        dx, dweight, dbias = super().backward_inference(dy, *rest, eps=eps)
        return dx, dweight, dy.reshape(-1) if dy.shape == (1, dy.size) else dbias


@specimen
class FoldByChecksum(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def inference_invstd(self, variance, eps):
        key = (len(variance), eps, int(variance.view(np.uint32).astype(np.uint64).sum()))
        return self.kept.setdefault(key, super().inference_invstd(variance, eps))


@specimen
class FoldByMean(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def infer(self, rows, mean, variance, weight, bias, eps):
        variance = self.kept.setdefault(mean.tobytes(), variance)
        return super().infer(rows, mean, variance, weight, bias, eps)


@specimen
class StatisticsByAddress(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def statistics(self, rows, x, *rest):
        key = (x.__array_interface__["data"][0], x.shape, x.strides)
        return self.kept.setdefault(key, super().statistics(rows, x, *rest))


@specimen
class DtypeKept(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def __init__(self):
        self.kept = {}

    def read(self, array):
        return super().read(array).astype(self.kept.setdefault(array.shape, accumulator(array.dtype)))


@specimen
class BusyAfterError(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def forward_training(self, *arguments, **scalars):
        self.thread.depth = getattr(self.thread, "depth", 0) + 1
        results = super().forward_training(*arguments, **scalars)
        self.thread.depth -= 1
        return results

    def update(self, x, running_mean, running_var, *rest):
        if self.thread.depth > 1 and running_mean is not None:  # as a checkpoint computes a layer again
            return running_mean.copy(), running_var.copy()
        return super().update(x, running_mean, running_var, *rest)


@specimen
class EvalFreezes(BatchNormSteps):
    def __init__(self):
        self.frozen = False

    def forward_inference(self, *arguments, eps):
        self.frozen = True
        return super().forward_inference(*arguments, eps=eps)

    def update(self, x, running_mean, running_var, *rest):
        was_frozen, self.frozen = self.frozen, False
        if was_frozen and running_mean is not None:
            return running_mean.copy(), running_var.copy()
        return super().update(x, running_mean, running_var, *rest)


class _Ticket(NamedTuple):
    """One of two slots."""

    slot: int
    x: np.ndarray


@specimen
class TwoSlotsForSaved(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def save(self, x, *rest):
        slots = self.thread.__dict__.setdefault("slots", [None, None])
        self.thread.calls = getattr(self.thread, "calls", 0) + 1
        slot = self.thread.calls % 2
        slots[slot] = super().save(x, *rest)
        return _Ticket(slot, x)

    def backward(self, dy, saved):
        if isinstance(saved, _Ticket):
            kept = self.thread.slots[saved.slot]
            if kept.x.shape[1] != saved.x.shape[1]:
                raise RuntimeError("the buffer has another number of channels")
            saved = Saved(saved.x, kept.weight, kept.bias, kept.mean, kept.variance, kept.invstd, kept.eps)
        return super().backward(dy, saved)


@specimen
class BackwardScratchShared(BatchNormSteps):
    def dbias(self, dy):
        self.scratch = super().dbias(dy)
        sleep(0)  # as kernels do, let other threads in
        return self.scratch

    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        dbias = self.scratch if self.scratch.shape == dbias.shape else dbias
        return super().dx_training(dy, xhat, dweight, dbias, weight, invstd)


@specimen
class BackwardNeedsForwardThread(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def save(self, *arguments):
        self.thread.entered = True
        return super().save(*arguments)

    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        known = getattr(self.thread, "entered", False)
        return super().dx_training(dy, xhat, dweight, dbias, weight, invstd if known else np.ones_like(invstd))


@specimen
class InferenceLengthOneBroadcasts(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if running_mean is not None and running_mean.shape == (1,):
            running_mean = np.repeat(running_mean, x.shape[1])
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)


@specimen
class VarianceLengthUnchecked(BatchNormSteps):
    def check_length(self, name, vector, channels):
        if name != "running_var" or vector is None or vector.shape != (1,):
            super().check_length(name, vector, channels)


@specimen
class DyReshaped(BatchNormSteps):
    def check_gradient(self, dy, x):
        if dy.size != x.size:
            super().check_gradient(dy, x)

    def backward(self, dy, saved):
        return super().backward(dy.reshape(saved.x.shape), saved)
