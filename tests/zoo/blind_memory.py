"""Blind faults of memory: strides misread, arguments written to, views given back."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from numpy.lib.stride_tricks import as_strided
from specimen import specimen


def _dense(vector):
    """What lies in memory from the vector's first value on."""
    strided = vector is not None and vector.size > 1 and vector.strides[0] > vector.itemsize
    return as_strided(vector, strides=(vector.itemsize,)) if strided else vector


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
