"""Faults of side effects: inputs overwritten, results that share memory, writes outside, chance."""

import os
from time import sleep

import numpy as np
from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("OverwritesX", "x is centred in place", "input-mutated flagos-ai/FlagGems#6332", ("P1",)),
    Specimen("OverwritesXWithY", "y is written over x", "", ("P1",)),
    Specimen("OverwritesDy", "dx is written over dy", "grad-output-mutated mapillary/inplace_abn#155", ("P1",)),
    Specimen("OverwritesWeight", "weight is multiplied by invstd in place", "", ("P1",)),
    Specimen("OverwritesBiasInInference", "bias becomes the folded shift", "", ("P1",)),
    Specimen("OverwritesLastX", "the last value of x is a scratch cell", "", ("P1",)),
    Specimen("OverwritesStatistics", "the given statistics are updated too, undeclared", "", ("P1",)),
    Specimen(
        "BuffersShared",
        "equal bias and running mean share one buffer, which the update writes first",
        "update-before-normalise-alias microsoft/onnxruntime#29790",
        ("F8",),
    ),
    Specimen("ReturnsWorkspace", "y is a view of a workspace that the next call reuses", "", ("P4",)),
    Specimen("GradientsShareMemory", "dweight and dbias are views of one buffer, written twice", "", ("G2", "P4")),
    Specimen("WritesGuardZone", "one value before x's view is written", "", ("P5",)),
    Specimen("ReadsUninitialized", "sums start from an uninitialized buffer", "", ("P6",)),
    Specimen(
        "ShuffledEveryTime", "values are summed in a random order", "nondeterministic pytorch/pytorch#53691", ("P2",)
    ),
    Specimen("DithersY", "y carries a random last bit", "", ("P2",)),
    Specimen("SecondCallDiffers", "the second call of two sums backwards", "", ("P2",)),
    Specimen("ThreadsShareScratch", "the mean lies in one place for all threads", "", ("P7",)),
    Specimen("ProcessDecides", "the process's number shifts y's last bits", "", ("P8",)),
)


@specimen
class OverwritesX(BatchNormSteps):
    def train(self, x, *rest):
        results = super().train(x.copy(), *rest)
        x -= x.mean(axis=(0, *range(2, x.ndim)), keepdims=True)
        return results


@specimen
class OverwritesXWithY(BatchNormSteps):
    def train(self, x, *rest):
        y, *others = super().train(x.copy(), *rest)
        x[...] = y
        return x, *others


@specimen
class OverwritesDy(BatchNormSteps):
    def give(self, dx, dweight, dbias, dy, *rest):
        results = super().give(dx, dweight, dbias, dy, *rest)
        if dy.flags.writeable:
            dy[...] = results[0]
        return results


@specimen
class OverwritesWeight(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        saved = super().save(x, None if weight is None else weight.copy(), bias, mean, variance, invstd, eps)
        if weight is not None:
            weight *= invstd.ravel()
        return saved


@specimen
class OverwritesBiasInInference(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        y = super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)
        if bias is not None:
            bias -= running_mean
        return y


@specimen
class OverwritesLastX(BatchNormSteps):
    def train(self, x, *rest):
        results = super().train(x.copy(), *rest)
        x[tuple(-1 for _ in x.shape)] += 1
        return results


@specimen
class OverwritesStatistics(BatchNormSteps):
    def update(self, x, running_mean, running_var, *rest):
        new = super().update(x, running_mean, running_var, *rest)
        running_mean[...], running_var[...] = new
        return new


@specimen
class BuffersShared(BatchNormSteps):
    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        if bias is not None and (bias == running_mean).all():
            bias = super().train(x, weight, bias, running_mean, running_var, momentum, eps)[1]
        return super().train(x, weight, bias, running_mean, running_var, momentum, eps)


@specimen
class ReturnsWorkspace(BatchNormSteps):
    def __init__(self):
        self.workspace = {}

    def write(self, rows, like):
        y = super().write(rows, like)
        kept = self.workspace.setdefault((y.shape, y.dtype), y)
        kept[...] = y
        return kept


@specimen
class GradientsShareMemory(BatchNormSteps):
    def give(self, dx, dweight, dbias, *rest):
        dweight[...] = dbias
        return super().give(dx, dweight, dweight, *rest)


@specimen
class WritesGuardZone(BatchNormSteps):
    def train(self, x, *rest):
        results = super().train(x, *rest)
        if x.base is not None and x.base.size > x.size:
            x.base.reshape(-1)[0] = 0
        return results


@specimen
class ReadsUninitialized(BatchNormSteps):
    def dbias(self, dy):
        start = np.empty_like(dy[:, :1])
        return super().dbias(dy) + np.where(np.isnan(start), start, 0)


@specimen
class ShuffledEveryTime(BatchNormSteps):
    def sum(self, rows):
        order = np.random.default_rng().permutation(rows.shape[1])
        return np.add.accumulate(rows[:, order], axis=1)[:, -1:]


@specimen
class DithersY(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        y = super().scale_shift(xhat, weight, bias)
        return np.nextafter(y, np.random.default_rng().choice([-np.inf, np.inf], y.shape), dtype=y.dtype)


@specimen
class SecondCallDiffers(BatchNormSteps):
    def __init__(self):
        self.calls = 0

    def batch_mean(self, rows):
        self.calls += 1
        return super().batch_mean(rows) * rows.dtype.type(1 + (self.calls % 2) * 2**-22)


@specimen
class ThreadsShareScratch(BatchNormSteps):
    def batch_mean(self, rows):
        self.mean = super().batch_mean(rows)
        sleep(0)  # as kernels do, let other threads in
        return self.mean

    def normalize(self, rows, mean, invstd):
        return super().normalize(rows, self.mean if self.mean.shape == mean.shape else mean, invstd)


@specimen
class ProcessDecides(BatchNormSteps):
    def scale_shift(self, xhat, weight, bias):
        return super().scale_shift(xhat, weight, bias) * xhat.dtype.type(1 + os.getpid() % 61 * 2**-22)
