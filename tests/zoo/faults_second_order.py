"""Faults of second-order gradients and of forward mode."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import HALF_TOO
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("SecondDxMissing", "the gradient by x of dx is 0", "", ("G10",)),
    Specimen("VarianceOfFixedMean", "the mean inside the variance is taken as a constant", "", ("G10",)),
    Specimen("InvstdFixed", "the path of dx through invstd is missing", "", ("G10",)),
    Specimen("XhatProductTwice", "mean(ddx * xhat) mean(dy * xhat) counts twice instead of three times", "", ("G10",)),
    Specimen("SecondDxIgnoresWeight", "the gradient by x lacks weight", "", ("G10",)),
    Specimen("SecondDxIgnoresDdweight", "the gradient by x has nothing of dweight", "", ("G10",)),
    Specimen("SecondDxAsIfNoEps", "invstd^2 is recomputed without eps", "", ("G10",)),
    Specimen("SecondDweightKeepsWeight", "the gradient by weight is multiplied by weight", "", ("G10",)),
    Specimen("SecondDweightUnprojected", "the gradient by weight is invstd * sum(ddx * dy)", "", ("G10",)),
    Specimen("CotangentsSwapped", "ddbias is read for ddweight", "grad-args-index pytorch/pytorch#4422", ("G10",)),
    Specimen("DdyIgnoresDdbias", "ddy has nothing of dbias", "", ("G10",)),
    Specimen("DdyUnprojected", "ddy and the tangent of y lack xhat * mean(ddx * xhat)", "", ("G10", "G11")),
    Specimen("SecondOrderInHalf", "half types are differentiated twice in half", "", ("G10",)),
    Specimen("TangentAsInInference", "forward mode takes statistics as constants", "", ("G11",)),
    Specimen("TangentIgnoresWeight", "the tangent of weight is dropped", "", ("G11",)),
    Specimen("TangentUnbiased", "forward mode differentiates the unbiased variance", "", ("G11",)),
    Specimen("OverwritesDdx", "ddx is centred in place by double_backward", "", ("P9",)),
    Specimen("OverwritesDyTwiceOver", "ddy is written over dy", "", ("P9",)),
    Specimen("OverwritesDdweight", "ddweight becomes the gradient by weight", "", ("P9",)),
    Specimen("TangentOverwritesX", "forward mode centres x in place", "", ("P9",)),
    Specimen("TangentOverwritesTangent", "the tangent of y is written over that of x", "", ("P9",)),
    Specimen("SecondDxAlternates", "every second call rounds the gradient by x another way", "", ("P9",)),
)


@specimen
class SecondDxMissing(BatchNormSteps):
    def second_dx(self, v, *rest):
        return super().second_dx(np.zeros_like(v), *rest)


@specimen
class VarianceOfFixedMean(BatchNormSteps):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        lost = weight * invstd**2 * self.mean(dy * xhat) * self.mean(v)
        return super().second_dx(v, vw, dy, xhat, weight, invstd) - lost


@specimen
class InvstdFixed(BatchNormSteps):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        along = self.mean(self.centred(v) * dy) - self.mean(v * xhat) * self.mean(dy * xhat)
        return super().second_dx(v, vw, dy, xhat, weight, invstd) + weight * invstd**2 * xhat * along


@specimen
class XhatProductTwice(BatchNormSteps):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        once = self.mean(v * xhat) * self.mean(dy * xhat)
        return super().second_dx(v, vw, dy, xhat, weight, invstd) - weight * invstd**2 * xhat * once


@specimen
class SecondDxIgnoresWeight(BatchNormSteps):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        return super().second_dx(v, vw, dy, xhat, np.ones_like(weight), invstd)


@specimen
class SecondDxIgnoresDdweight(BatchNormSteps):
    def second_dx(self, v, vw, *rest):
        return super().second_dx(v, np.zeros_like(vw), *rest)


@specimen
class SecondDxAsIfNoEps(BatchNormSteps):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        variance = self.mean(xhat**2) / invstd**2
        return super().second_dx(v, vw, dy, xhat, weight, 1 / np.sqrt(variance))


@specimen
class SecondDweightKeepsWeight(BatchNormSteps):
    def double_backward(self, ddx, ddweight, ddbias, dy, saved):
        ddy, dx, dweight = super().double_backward(ddx, ddweight, ddbias, dy, saved)
        return ddy, dx, dweight if saved.weight is None else dweight * saved.weight


@specimen
class SecondDweightUnprojected(BatchNormSteps):
    def second_dweight(self, v, dy, xhat, invstd):
        return invstd * self.sum(v * dy)


@specimen
class CotangentsSwapped(BatchNormSteps):
    def double_backward(self, ddx, ddweight, ddbias, dy, saved):
        return super().double_backward(ddx, ddbias, ddweight, dy, saved)


@specimen
class DdyIgnoresDdbias(BatchNormSteps):
    def ddy(self, v, vw, vb, *rest):
        return super().ddy(v, vw, np.zeros_like(vb), *rest)


@specimen
class DdyUnprojected(BatchNormSteps):
    def tangent(self, v, vw, vb, xhat, weight, invstd):
        return weight * invstd * self.centred(v) + vw * xhat + vb


@specimen
class SecondOrderInHalf(BatchNormSteps):
    CLAIMS = HALF_TOO

    def second_dweight(self, v, dy, xhat, invstd):
        half = np.float16
        return super().second_dweight(v.astype(half), dy.astype(half), xhat.astype(half), invstd).astype(v.dtype)


@specimen
class TangentAsInInference(BatchNormSteps):
    def y_tangent(self, v, vw, vb, xhat, weight, invstd):
        return weight * invstd * v + vw * xhat + vb


@specimen
class TangentIgnoresWeight(BatchNormSteps):
    def y_tangent(self, v, vw, *rest):
        return super().y_tangent(v, np.zeros_like(vw), *rest)


@specimen
class TangentUnbiased(BatchNormSteps):
    def y_tangent(self, v, vw, vb, xhat, weight, invstd):
        excess = self.mean(v * xhat) / (v.shape[1] - 1)
        return super().y_tangent(v, vw, vb, xhat, weight, invstd) - weight * invstd * xhat * excess


@specimen
class OverwritesDdx(BatchNormSteps):
    def double_backward(self, ddx, *rest):
        results = super().double_backward(ddx, *rest)
        ddx -= ddx.mean(axis=(0, *range(2, ddx.ndim)), keepdims=True)
        return results


@specimen
class OverwritesDyTwiceOver(BatchNormSteps):
    def double_backward(self, ddx, ddweight, ddbias, dy, saved):
        results = super().double_backward(ddx, ddweight, ddbias, dy, saved)
        if dy.flags.writeable:
            dy[...] = results[0]
        return results


@specimen
class OverwritesDdweight(BatchNormSteps):
    def double_backward(self, ddx, ddweight, *rest):
        results = super().double_backward(ddx, ddweight, *rest)
        if ddweight is not None:
            ddweight[...] = results[2]
        return results


@specimen
class TangentOverwritesX(BatchNormSteps):
    def jvp(self, x, *rest, eps):
        found = super().jvp(x.copy(), *rest, eps=eps)
        x -= x.mean(axis=(0, *range(2, x.ndim)), keepdims=True)
        return found


@specimen
class TangentOverwritesTangent(BatchNormSteps):
    def jvp(self, x, weight, bias, x_tangent, *rest, eps):
        found = super().jvp(x, weight, bias, x_tangent, *rest, eps=eps)
        x_tangent[...] = found
        return found


@specimen
class SecondDxAlternates(BatchNormSteps):
    def __init__(self):
        self.calls = 0

    def second_dx(self, *arguments):
        self.calls += 1
        return super().second_dx(*arguments) * (1 + 2**-23 * (self.calls % 2))
