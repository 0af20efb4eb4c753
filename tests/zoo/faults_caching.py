"""Faults of memory of earlier calls: results kept by shape or address, workspaces, one state for all layers."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import Saved
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("StatisticsByShape", "statistics are kept by x's shape", "", ("P3",)),
    Specimen("FoldByAddress", "a fold is kept by the address of running_var, which training refills", "", ("S4",)),
    Specimen("SumsByFirstValue", "statistics are kept by the first value of x", "", ("P3",)),
    Specimen(
        "StaleWorkspace",
        "sums run over the whole workspace, whose end is an earlier call's",
        "",
        ("P3", "F1"),
    ),
    Specimen("FoldKept", "the first folded scale serves every inference", "", ("P3", "I1")),
    Specimen("EpsKept", "eps of the first call serves all", "", ("P3", "F3")),
    Specimen("ColumnsByLength", "weight is kept by its length", "", ("P3", "F4")),
    Specimen("LastForwardOnly", "backward uses the latest forward, whatever was saved", "", ("G9",)),
    Specimen("SavedByShape", "what backward needs is kept by shape", "", ("G9",)),
    Specimen("OneStateForAll", "running statistics go on from the last call's", "", ("P3", "S1")),
    Specimen(
        "DbiasAccumulates",
        "dbias is added to the last call's",
        "fixgamma-beta-accumulates apache/mxnet#18492",
        ("G3", "G8"),
    ),
    Specimen(
        "TunedOnFirstShape",
        "the first call of a shape updates thrice",
        "tuning-updates-stats ROCm/rocm-libraries#2104",
        ("S1", "S5"),
    ),
    Specimen("WarmsUp", "the first call of a shape uses one-pass variance in half", "", ("P2", "P3")),
    Specimen("InferenceAfterTraining", "inference after training uses the last batch's mean", "", ("S4",)),
)


@specimen
class StatisticsByShape(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def statistics(self, rows, x, *rest):
        return self.kept.setdefault(x.shape, super().statistics(rows, x, *rest))


@specimen
class FoldByAddress(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def update(self, x, running_mean, running_var, *rest):
        running_mean[...], running_var[...] = super().update(x, running_mean, running_var, *rest)
        return None, None

    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        fold = (running_mean.copy(), running_var.copy())
        fold = self.kept.setdefault((running_var.__array_interface__["data"][0], len(running_var)), fold)
        return super().forward_inference(x, weight, bias, *fold, eps=eps)


@specimen
class SumsByFirstValue(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def statistics(self, rows, x, *rest):
        return self.kept.setdefault((float(x.flat[0]), x.shape), super().statistics(rows, x, *rest))


@specimen
class StaleWorkspace(BatchNormSteps):
    def __init__(self):
        self.workspace = np.zeros((0, 0))

    def batch_mean(self, rows):
        channels, n = rows.shape
        if channels > len(self.workspace) or n > self.workspace.shape[1]:
            self.workspace = np.zeros((channels, n), rows.dtype)
        self.workspace[:channels, :n] = rows
        return self.sum(self.workspace[:channels]) / n


@specimen
class FoldKept(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def inference_invstd(self, variance, eps):
        return self.kept.setdefault(len(variance), super().inference_invstd(variance, eps))


@specimen
class EpsKept(BatchNormSteps):
    def __init__(self):
        self.eps = None

    def invstd(self, variance, eps):
        self.eps = self.eps or eps
        return super().invstd(variance, self.eps)


@specimen
class ColumnsByLength(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def scale_shift(self, xhat, weight, bias):
        if weight is not None:
            weight = self.kept.setdefault(len(weight), weight.copy())
        return super().scale_shift(xhat, weight, bias)


@specimen
class LastForwardOnly(BatchNormSteps):
    def save(self, *arguments):
        self.last = super().save(*arguments)
        return self.last

    def saved_xhat(self, rows, saved):
        same = self.last.mean.shape == saved.mean.shape
        return super().saved_xhat(rows, self.last if same else saved)


@specimen
class SavedByShape(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def save(self, x, *arguments):
        self.kept[x.shape] = super().save(x, *arguments)
        return self.kept[x.shape]

    def backward(self, dy, saved):
        return super().backward(dy, self.kept.get(dy.shape, saved))


@specimen
class OneStateForAll(BatchNormSteps):
    def __init__(self):
        self.state = {}

    def update(self, x, running_mean, running_var, *rest):
        channels = len(running_mean)
        self.state[channels] = super().update(x, *self.state.get(channels, (running_mean, running_var)), *rest)
        return tuple(array.copy() for array in self.state[channels])


@specimen
class DbiasAccumulates(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def dbias(self, dy):
        self.kept[len(dy)] = self.kept.get(len(dy), 0) + super().dbias(dy)
        return self.kept[len(dy)]


@specimen
class TunedOnFirstShape(BatchNormSteps):
    def __init__(self):
        self.seen = set()

    def update(self, x, running_mean, running_var, *rest):
        for _ in range(0 if x.shape in self.seen else 2):
            running_mean, running_var = super().update(x, running_mean, running_var, *rest)
        self.seen.add(x.shape)
        return super().update(x, running_mean, running_var, *rest)


@specimen
class WarmsUp(BatchNormSteps):
    def __init__(self):
        self.seen = set()

    def batch_variance(self, rows, mean):
        if rows.shape in self.seen:
            return super().batch_variance(rows, mean)
        self.seen.add(rows.shape)
        return self.batch_mean(rows * rows) - mean * mean


@specimen
class InferenceAfterTraining(BatchNormSteps):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        self.mean = mean
        return Saved(x, weight, bias, mean, variance, invstd, eps)

    def infer(self, rows, mean, variance, weight, bias, eps):
        last = getattr(self, "mean", None)
        if last is not None and last.shape == mean.shape:
            mean = (mean + last) / 2
        return super().infer(rows, mean, variance, weight, bias, eps)
