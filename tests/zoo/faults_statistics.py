"""Faults of the running statistics: estimator, momentum, who writes them and how often."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import values_per_channel
from specimen import Specimen, specimen

UNTRACKED = {"untracked": True}
FRESH = "no training case yet starts from a new layer's statistics (mean 0, variance 1)"

SPECIMENS = (
    Specimen(
        "MomentumSwapped",
        "momentum weighs the old value",
        "momentum-swapped PaddlePaddle/Paddle#51120",
        ("S1", "T1", "T2"),
    ),
    Specimen(
        "BiasedStored", "stores the biased variance", "rv-biased tenstorrent/tt-metal#55438", ("S2", "M8", "T1", "T2")
    ),
    Specimen("UnbiasedTwice", "multiplies by n / (n - 1) twice", "", ("S2",)),
    Specimen("BesselOnImages", "unbiased on rank 4 only", "bessel-in-fused-only tensorflow/tensorflow#55545", ("S2",)),
    Specimen("BesselByLayout", "unbiased where x is contiguous only", "cpu-biased apache/mxnet#14357", ("S1", "M9")),
    Specimen("BesselWithEps", "divides by n - 1 + eps", "bessel-eps-fudge mlpack/mlpack#2474", ("S1",)),
    Specimen(
        "BesselHalfApplied", "corrects E[x^2] but not E[x]^2", "bessel-half-applied BVLC/caffe#3299", ("S2", "M1")
    ),
    Specimen("EpsInRunningVar", "stores variance + eps", "eps-in-running-var chainer/chainer#4505", ("S1",)),
    Specimen("NeverUpdated", "statistics stay as they were", "stats-never-updated apache/tvm#18518", ("S1",)),
    Specimen("OnlyMeanUpdated", "the variance stays", "only-mean-updated keras-team/keras-core#339", ("S1",)),
    Specimen("OnlyVarianceUpdated", "the mean stays", "", ("S1",)),
    Specimen("AffineDecides", "no update without weight and bias", "apache/mxnet#18673", ("S1",)),
    Specimen("UpdatedTwice", "a step updates twice", "stats-updated-twice pytorch/pytorch#96136", ("S1", "S5")),
    Specimen("StatisticsSwapped", "mean and variance change places", "tuple-order-swap apache/mxnet#18751", ("S1",)),
    Specimen("MomentumZeroReplaces", "momentum 0 takes the batch alone", "pytorch/pytorch#15298", ("S1",)),
    Specimen("MomentumZeroIsDefault", "momentum 0 counts as not given, 0.1", "", ("S1",)),
    Specimen("MomentumFixed", "momentum is always 0.1", "", ("S1",)),
    Specimen("MomentumForgotten", "new = m old + batch", "microsoft/onnxscript#1256", ("S1",)),
    Specimen("StoresDeviation", "blends in the standard deviation", "invvar-as-var", ("S1",)),
    Specimen("StoresInvstd", "blends in 1 / sqrt(variance + eps)", "", ("S1",)),
    Specimen("MeanOfVariances", "variance is the mean of two shards' variances", "tensorflow/tpu#321", ("F1", "S1")),
    Specimen("MeanOfUnevenMeans", "means of uneven shards count alike", "PaddlePaddle/Paddle#32464", ("F1",)),
    Specimen("EqualShardCounts", "Chan's merge takes both shards as equally long", "pytorch/pytorch#22192", ("F1",)),
    Specimen("FirstBatchReplaces", "statistics of a new layer are replaced", "patrick-kidger/equinox#659", ("S1",)),
    Specimen("UntrackedRaises", "None statistics raise in training", "pytorch/pytorch#137172", ("S6",)),
    Specimen("UntrackedReturns", "None statistics come back as arrays", "", ("S6",)),
    Specimen(
        "UntrackedOverwritesX", "None statistics: x is the workspace, and y wrong", "flagos-ai/FlagGems#6332", ("S6",)
    ),
    Specimen(
        "WritesBeforeRaising",
        "a refused batch has moved the mean",
        "state-mutated-before-raise (torch)",
        ("S8",),
    ),
    Specimen("WritesBeforeChecking", "the mean moves before parameters are checked", "", ("S8",)),
    Specimen("StridedBuffersDropped", "strided buffers get no update", "pytorch/pytorch#33867", ("S7",)),
    Specimen("NegativeWhenDecaying", "old statistics fade 1 % too fast", "negative-ema-variance", ("S1", "S4")),
    Specimen("OwnStatistics", "keeps the statistics it wrote, also where others are loaded in place", "", ("S11",)),
    Specimen("RefusalSticks", "after a refused call inference takes the batch's statistics", "", ("S8", "S11")),
    Specimen("SlowDrift", "from the third step of a layer on, a step counts half", "", ("S4",)),
)


@specimen
class MomentumSwapped(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, 1 - momentum)


@specimen
class BiasedStored(BatchNormSteps):
    def stored_variance(self, variance, n):
        return variance


@specimen
class UnbiasedTwice(BatchNormSteps):
    def stored_variance(self, variance, n):
        return super().stored_variance(super().stored_variance(variance, n), n)


class _BesselWhere(BatchNormSteps):
    """Unbiased for some x only."""

    def unbiased(self, x):
        raise NotImplementedError

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        n = values_per_channel(x)
        shrunk = variance if self.unbiased(x) else variance * ((n - 1) / n)
        return super().update(x, running_mean, running_var, mean, shrunk, momentum, eps)


@specimen
class BesselOnImages(_BesselWhere):
    def unbiased(self, x):
        return x.ndim == 4


@specimen
class BesselByLayout(_BesselWhere):
    def unbiased(self, x):
        return x.flags.c_contiguous


@specimen
class BesselWithEps(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        n = values_per_channel(x)
        fudged = variance * ((n - 1) / (n - 1 + eps))
        return super().update(x, running_mean, running_var, mean, fudged, momentum, eps)


@specimen
class BesselHalfApplied(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        half = variance + mean**2 / values_per_channel(x)
        return super().update(x, running_mean, running_var, mean, half, momentum, eps)


@specimen
class EpsInRunningVar(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        return super().update(x, running_mean, running_var, mean, variance + variance.dtype.type(eps), momentum, eps)


@specimen
class NeverUpdated(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return old.copy()


@specimen
class OnlyMeanUpdated(BatchNormSteps):
    def update(self, x, running_mean, running_var, *rest):
        return super().update(x, running_mean, running_var, *rest)[0], running_var.copy()


@specimen
class OnlyVarianceUpdated(BatchNormSteps):
    def update(self, x, running_mean, running_var, *rest):
        return running_mean.copy(), super().update(x, running_mean, running_var, *rest)[1]


@specimen
class AffineDecides(BatchNormSteps):
    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        y, mean, var, saved = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        return (
            (y, mean, var, saved) if weight is not None or bias is not None else (y, running_mean, running_var, saved)
        )


@specimen
class UpdatedTwice(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(super().blend(old, batch, momentum), batch, momentum)


@specimen
class StatisticsSwapped(BatchNormSteps):
    def update(self, *arguments):
        return super().update(*arguments)[::-1]


@specimen
class MomentumZeroReplaces(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, 1.0 if momentum == 0 else momentum)


@specimen
class MomentumZeroIsDefault(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, momentum or 0.1)


@specimen
class MomentumFixed(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, 0.1)


@specimen
class MomentumForgotten(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return momentum * old + batch.ravel().astype(old.dtype)


@specimen
class StoresDeviation(BatchNormSteps):
    def stored_variance(self, variance, n):
        return np.sqrt(super().stored_variance(variance, n))


@specimen
class StoresInvstd(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        return super().update(x, running_mean, running_var, mean, self.invstd(variance, eps), momentum, eps)


@specimen
class MeanOfVariances(BatchNormSteps):
    def batch_variance(self, rows, mean):
        shards = [rows[:, ::2], rows[:, 1::2]]
        return sum(np.var(s, axis=1, keepdims=True) for s in shards) / rows.dtype.type(2)


@specimen
class MeanOfUnevenMeans(BatchNormSteps):
    def batch_mean(self, rows):
        if rows.shape[1] < 2:
            return super().batch_mean(rows)
        return sum(np.mean(s, axis=1, keepdims=True) for s in (rows[:, ::2], rows[:, 1::2])) / rows.dtype.type(2)


@specimen
class EqualShardCounts(BatchNormSteps):
    def batch_variance(self, rows, mean):
        first, second = rows[:, ::2], rows[:, 1::2]
        means = [np.mean(s, axis=1, keepdims=True) for s in (first, second)]
        within = (np.var(first, axis=1, keepdims=True) + np.var(second, axis=1, keepdims=True)) / 2
        return (within + (means[0] - means[1]) ** 2 / 4).astype(rows.dtype)


@specimen
class FirstBatchReplaces(BatchNormSteps):
    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        new = not running_mean.any() and (running_var == 1).all()
        return super().update(x, running_mean, running_var, mean, variance, 1.0 if new else momentum, eps)


@specimen
class UntrackedRaises(BatchNormSteps):
    CLAIMS = UNTRACKED

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        return self.blend(running_mean, mean, momentum), self.blend(running_var, variance, momentum)


@specimen
class UntrackedReturns(BatchNormSteps):
    CLAIMS = UNTRACKED

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        if running_mean is None:
            running_mean, running_var = np.zeros_like(mean).ravel(), np.ones_like(mean).ravel()
        return super().update(x, running_mean, running_var, mean, variance, momentum, eps)


@specimen
class UntrackedOverwritesX(BatchNormSteps):
    CLAIMS = UNTRACKED

    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        y, *rest = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        if running_mean is None:
            x[...] = y
            y = super().train(x, weight, bias, running_mean, running_var, momentum, eps)[0]
        return y, *rest


@specimen
class WritesBeforeRaising(BatchNormSteps):
    def one_value(self, x, weight, bias, running_mean, running_var, momentum, eps):
        running_mean[...] = self.blend(running_mean, self.read(x), momentum)
        return super().one_value(x, weight, bias, running_mean, running_var, momentum, eps)


@specimen
class WritesBeforeChecking(BatchNormSteps):
    def check_call(self, x, eps, running_mean=None, **others):
        if running_mean is not None and "running_var" in others and x.shape[1] != len(running_mean):
            running_mean *= running_mean.dtype.type(0.9)
        super().check_call(x, eps, running_mean=running_mean, **others)


@specimen
class StridedBuffersDropped(BatchNormSteps):
    def update(self, x, running_mean, running_var, *rest):
        given = (running_mean, running_var)
        for buffer, new in zip(given, super().update(x, running_mean, running_var, *rest), strict=True):
            np.ascontiguousarray(buffer)[...] = new
        return None, None


@specimen
class NegativeWhenDecaying(BatchNormSteps):
    def blend(self, old, batch, momentum):
        return super().blend(old, batch, momentum) - old * old.dtype.type(0.01)


@specimen
class SlowDrift(BatchNormSteps):
    def __init__(self):
        self.last, self.steps = None, 0

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        self.steps = self.steps + 1 if running_var is self.last else 1
        share = momentum / 2 if self.steps > 2 else momentum
        new_mean, self.last = super().update(x, running_mean, running_var, mean, variance, share, eps)
        return new_mean, self.last


@specimen
class OwnStatistics(BatchNormSteps):
    def __init__(self):
        self.given, self.own = None, ()

    def update(self, x, running_mean, running_var, mean, variance, momentum, eps):
        new = super().update(x, running_mean, running_var, mean, variance, momentum, eps)
        self.given, self.own = new[1], tuple(array.copy() for array in new)
        return new

    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if running_var is not None and running_var is self.given:
            running_mean, running_var = self.own
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)


@specimen
class RefusalSticks(BatchNormSteps):
    def __init__(self):
        self.refused = False

    def check_length(self, name, vector, channels):
        try:
            super().check_length(name, vector, channels)
        except ValueError:
            self.refused = True
            raise

    def forward_training(self, *arguments, **named):
        found = super().forward_training(*arguments, **named)
        self.refused = False
        return found

    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        was, self.refused = self.refused, False
        if was:
            running_mean = running_var = None
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)
