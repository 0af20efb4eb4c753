"""Faults that a training run shows: what moves little from step to step is taken for unmoved, or comes late."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("WeightKeptWhenClose", "a weight within 1 % of the last one is taken for that one", "", ("T1",)),
    Specimen("BiasKeptInInference", "inference keeps the bias that its last one had, within 0.05", "", ("T2",)),
    Specimen("FoldKeptWhenClose", "inference keeps its fold while the statistics move little", "", ("T2",)),
    Specimen("StatisticsLate", "running statistics take in the batch before, once there is one", "", ("T1", "T2")),
    Specimen("GradientOfKeptWeight", "backward multiplies by a weight within 1 % of the right one", "", ("T1",)),
)


def _close(new, kept, share):
    return kept is not None and kept.shape == new.shape and bool((np.abs(new - kept) <= share * np.abs(kept)).all())


class _KeepsWeight(BatchNormSteps):
    """Remembers a weight, and gives it for every one that is close."""

    def __init__(self):
        self.kept = None

    def remembered(self, weight):
        if weight is None:
            return None
        if not _close(weight, self.kept, 0.01):
            self.kept = weight.copy()
        return self.kept.astype(weight.dtype)


@specimen
class WeightKeptWhenClose(_KeepsWeight):
    def train(self, x, weight, *rest):
        return super().train(x, self.remembered(weight), *rest)


@specimen
class GradientOfKeptWeight(_KeepsWeight):
    def save(self, x, weight, *rest):
        return super().save(x, self.remembered(weight), *rest)


@specimen
class BiasKeptInInference(BatchNormSteps):
    def __init__(self):
        self.kept = None

    def infer(self, rows, mean, variance, weight, bias, eps):
        if bias is not None:
            same = self.kept is not None and self.kept.shape == bias.shape
            self.kept = self.kept if same and np.abs(bias - self.kept).max(initial=0) <= 0.05 else bias.copy()
            bias = self.kept.astype(bias.dtype)
        return super().infer(rows, mean, variance, weight, bias, eps)


@specimen
class FoldKeptWhenClose(BatchNormSteps):
    def __init__(self):
        self.kept = None

    def infer(self, rows, mean, variance, weight, bias, eps):
        fold = (mean.astype(np.float64), variance.astype(np.float64))
        if self.kept is None or self.kept[0].shape != mean.shape or not self.still(fold):
            self.kept = fold
        kept_mean, kept_variance = (value.astype(rows.dtype) for value in self.kept)
        return super().infer(rows, kept_mean, kept_variance, weight, bias, eps)

    def still(self, fold):
        (mean, variance), (kept_mean, kept_variance) = fold, self.kept
        moved = np.abs(mean - kept_mean) > 0.3 * np.sqrt(np.maximum(kept_variance, 0))
        return not (moved | (np.abs(variance - kept_variance) > 0.1 * np.abs(kept_variance))).any()


@specimen
class StatisticsLate(BatchNormSteps):
    def __init__(self):
        self.before = None

    def update(self, x, running_mean, running_var, mean, variance, *rest):
        late = self.before if self.before and self.before[0].shape == mean.shape else (mean, variance)
        self.before = mean, variance
        return super().update(x, running_mean, running_var, *(v.astype(mean.dtype) for v in late), *rest)
