"""Faults of inference: which statistics, where eps is, what folding loses."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import HALF_TOO, column
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("InferenceEpsMissing", "no eps in inference", "eps-missing-eval chainer/chainer#855", ("I1", "I4")),
    Specimen("InferenceEpsTwice", "eps is added twice", "eps-in-running-var keras-team/keras-contrib#287", ("I1",)),
    Specimen("InferenceEpsFixed", "folding takes eps = 1e-5", "eps-hardcoded-in-fold pytorch/pytorch#25282", ("I1",)),
    Specimen("InferenceByBatch", "inference uses the batch's statistics", "apache/tvm#18703", ("I1", "I2")),
    Specimen("InferenceInvstdAsVariance", "takes running_var for 1 / sqrt", "ROCm/rocm-libraries#2492", ("I1",)),
    Specimen("InferenceVarianceNotRoot", "divides by running_var + eps", "", ("I1",)),
    Specimen("InferenceUnbiasedAgain", "corrects running_var by n / (n - 1)", "", ("I1", "I2")),
    Specimen(
        "FoldInHalf", "folded factors pass through float16", "params-downcast apple/coreai-torch#54", ("I1", "I4")
    ),
    Specimen("FoldWithoutBias", "no bias: the shift is dropped", "tenstorrent/tt-metal#5317", ("I1",)),
    Specimen("FoldWithoutWeight", "no weight: the mean is not subtracted", "", ("I1",)),
    Specimen("FoldMeanUnscaled", "shift is bias - mean, not scaled", "vlfeat/matconvnet#772", ("I1",)),
    Specimen("InferenceSaturates", "y is clipped to [-3, 3] in inference", "", ("I1", "I3")),
    Specimen("InferenceClampsVariance", "running_var is raised to 1e-3", "", ("I4",)),
    Specimen("InferenceClipsMean", "running_mean is clipped to 1e4", "", ("I4",)),
    Specimen("SingleSampleOwnStatistics", "one sample alone is normalized by itself", "jax-ml/jax#139", ("I2",)),
    Specimen("InferenceWrites", "inference moves the running mean", "keras-team/keras#4762", ("S5",)),
    Specimen(
        "FreshPassesThrough",
        "statistics 0 and 1 return x, without eps and weight",
        "",
        ("I1",),
    ),
    Specimen(
        "InferenceHalfVariance",
        "half x: running_var is cast to float16",
        "params-downcast apple/coreai-torch#54",
        ("I4",),
    ),
)


@specimen
class InferenceEpsMissing(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return 1 / np.sqrt(variance)


@specimen
class InferenceEpsTwice(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return super().inference_invstd(variance, 2 * eps)


@specimen
class InferenceEpsFixed(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return super().inference_invstd(variance, 1e-5)


@specimen
class InferenceByBatch(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        mean = self.batch_mean(rows)
        return super().infer(rows, mean, self.batch_variance(rows, mean), weight, bias, eps)


@specimen
class InferenceInvstdAsVariance(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return variance


@specimen
class InferenceVarianceNotRoot(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return 1 / (variance + variance.dtype.type(eps))


@specimen
class InferenceUnbiasedAgain(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        n = rows.shape[1]
        return super().infer(rows, mean, variance * (n / max(n - 1, 1)), weight, bias, eps)


class _Folded(BatchNormSteps):
    """y = x * scale + shift, which is correct."""

    def infer(self, rows, mean, variance, weight, bias, eps):
        scale = column(weight, rows, 1.0) * self.inference_invstd(variance, eps)
        return rows * scale + self.shift(column(bias, rows, 0.0), mean, scale, weight, bias)

    def shift(self, shift, mean, scale, weight, bias):
        return shift - mean * scale


@specimen
class FoldInHalf(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return super().inference_invstd(variance, eps).astype(np.float16).astype(variance.dtype)


@specimen
class FoldWithoutBias(_Folded):
    def shift(self, shift, mean, scale, weight, bias):
        return shift - mean * scale if bias is not None else shift


@specimen
class FoldWithoutWeight(_Folded):
    def shift(self, shift, mean, scale, weight, bias):
        return shift - mean * scale if weight is not None else shift


@specimen
class FoldMeanUnscaled(_Folded):
    def shift(self, shift, mean, scale, weight, bias):
        return shift - mean


@specimen
class InferenceSaturates(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        return np.clip(super().infer(rows, mean, variance, weight, bias, eps), -3, 3)


@specimen
class InferenceClampsVariance(BatchNormSteps):
    def inference_invstd(self, variance, eps):
        return super().inference_invstd(np.maximum(variance, variance.dtype.type(1e-3)), eps)


@specimen
class InferenceClipsMean(BatchNormSteps):
    def infer(self, rows, mean, variance, weight, bias, eps):
        return super().infer(rows, np.clip(mean, -1e4, 1e4), variance, weight, bias, eps)


@specimen
class SingleSampleOwnStatistics(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if x.shape[0] == 1 and x.size > x.shape[1]:
            rows = self.read(x)
            running_mean = self.batch_mean(rows).ravel()
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)


@specimen
class InferenceWrites(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        y = super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)
        if x.size:
            running_mean[...] = self.blend(running_mean, self.batch_mean(self.read(x)), 0.1)
        return y


@specimen
class FreshPassesThrough(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if not running_mean.any() and (running_var == 1).all():
            return x.copy()
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)


@specimen
class InferenceHalfVariance(BatchNormSteps):
    CLAIMS = HALF_TOO

    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if x.dtype.itemsize == 2:
            running_var = running_var.astype(np.float16).astype(np.float32)
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)
