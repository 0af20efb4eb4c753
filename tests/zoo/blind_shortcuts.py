"""Blind faults of short cuts and guards: what is passed over, clipped, floored or guessed."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import values_per_channel
from specimen import specimen


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
