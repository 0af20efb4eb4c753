"""Faults of memory: strides, offsets and orders taken for granted."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("ReadsMemoryOrder", "x is read in the order of memory", "pytorch/pytorch#62594", ("F1", "M9")),
    Specimen(
        "ReadsThroughGaps", "strides are ignored: reads from the first value on", "pytorch/pytorch#133520", ("F1", "M9")
    ),
    Specimen(
        "OffsetIgnored",
        "a view is read from its buffer's beginning",
        "mps-sliced-input pytorch/pytorch#133520",
        ("F1",),
    ),
    Specimen("TransposedTwice", "swapped axes are taken for channels first", "pytorch/pytorch#62967", ("F1", "M9")),
    Specimen("WritesMemoryOrder", "y is filled in x's memory order", "pytorch/pytorch#62594", ("F1",)),
    Specimen(
        "ChannelsLastOdd",
        "channels last, C no power of two: the last channel's statistics are its neighbour's",
        "nonpow2-channels-last NVIDIA/apex#1768",
        ("F1",),
    ),
    Specimen(
        "DyMemoryOrder", "dy is read in the order of memory", "grad-output-layout pytorch/pytorch#42588", ("G1", "G7")
    ),
    Specimen("DyLikeX", "dy is read by x's strides", "grad-output-layout pytorch/pytorch#42588", ("G1", "G7")),
    Specimen("ExpandedDyOnce", "a stride-0 dy counts once", "pytorch/pytorch#1866", ("G3", "G7")),
    Specimen(
        "ExpandedDyAsSum", "a stride-0 dy is summed in place, then read", "mapillary/inplace_abn#155", ("G7", "G3")
    ),
    Specimen("Rank5AxesSwapped", "rank 5: the first two spatial axes are swapped in y", "", ("F1", "M7")),
    Specimen(
        "OffsetsIn32Bits", "offsets of samples are computed in 32 bits", "int32-index apache/mxnet#19065", ("X6",)
    ),
    Specimen("DyOffsetsUnsigned", "offsets of dy are computed in 32 bits without a sign", "", ("X6",)),
    Specimen("SquareTransposed", "N and C change places where they are equal", "deconv-fold-axis", ("F1",)),
)


def by_memory(array):
    """The values in the order of memory, under the array's shape."""
    return array.ravel(order="K").reshape(array.shape)


def from_first_value(array):
    """As many values as the array has, from its first one on, whatever the strides; needs its whole buffer."""
    base = array if array.base is None else array.base
    if array.flags.c_contiguous or not base.flags.c_contiguous or not array.size:
        return array
    start = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
    return np.resize(base.ravel()[start:], array.shape)


@specimen
class ReadsMemoryOrder(BatchNormSteps):
    def train(self, x, *rest):
        return super().train(by_memory(x), *rest)


@specimen
class ReadsThroughGaps(BatchNormSteps):
    def train(self, x, *rest):
        return super().train(from_first_value(x), *rest)


@specimen
class OffsetIgnored(BatchNormSteps):
    def train(self, x, *rest):
        if x.base is not None and not x.flags.c_contiguous and x.base.size > x.size:
            x = np.ndarray(x.shape, x.dtype, x.base, strides=x.strides)
        return super().train(x, *rest)


@specimen
class TransposedTwice(BatchNormSteps):
    def train(self, x, *rest):
        if x.strides[0] < x.strides[1] and x.ndim > 2:
            x = np.swapaxes(x, 0, 1).ravel().reshape(x.shape)
        return super().train(x, *rest)


@specimen
class WritesMemoryOrder(BatchNormSteps):
    def train(self, x, *rest):
        y, *others = super().train(x, *rest)
        order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
        return np.transpose(y, order).ravel().reshape(y.shape), *others


@specimen
class ChannelsLastOdd(BatchNormSteps):
    def statistics(self, rows, x, *rest):
        mean, variance = super().statistics(rows, x, *rest)
        channels = x.shape[1]
        if x.ndim > 2 and x.strides[1] == x.itemsize and channels > 1 and channels & (channels - 1):
            mean[-1], variance[-1] = mean[-2], variance[-2]
        return mean, variance


@specimen
class DyMemoryOrder(BatchNormSteps):
    def read_gradient(self, dy):
        return super().read_gradient(by_memory(dy))


@specimen
class DyLikeX(BatchNormSteps):
    def backward(self, dy, saved):
        order = sorted(range(dy.ndim), key=lambda axis: -abs(saved.x.strides[axis]))
        if saved.x.flags.c_contiguous or 0 in dy.strides:
            return super().backward(dy, saved)
        memory = dy.ravel(order="K").reshape([dy.shape[axis] for axis in order])
        return super().backward(np.transpose(memory, np.argsort(order)), saved)


@specimen
class ExpandedDyOnce(BatchNormSteps):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if dbias is not None and dy.size and dy.strides[0] == 0:
            dbias = dbias / dbias.dtype.type(dy.shape[0])
        return dx, dweight, dbias


@specimen
class ExpandedDyAsSum(BatchNormSteps):
    def read_gradient(self, dy):
        rows = super().read_gradient(dy)
        return rows * dy.shape[0] if dy.strides[0] == 0 and dy.shape[0] > 1 else rows


@specimen
class Rank5AxesSwapped(BatchNormSteps):
    def write(self, rows, like):
        y = super().write(rows, like)
        return np.swapaxes(y, 2, 3).reshape(y.shape) if y.ndim == 5 else y


def wrapped(array, bits, signed):
    """The array as seen with strides, in elements, that come round at 2^bits."""
    span, low = 2**bits, 2 ** (bits - 1) if signed else 0
    strides = [((stride // array.itemsize + low) % span - low) * array.itemsize for stride in array.strides]
    inside = all(stride >= 0 for stride in array.strides) and all(stride >= 0 for stride in strides)
    return np.lib.stride_tricks.as_strided(array, array.shape, strides) if inside else array


@specimen
class OffsetsIn32Bits(BatchNormSteps):
    def read(self, array):
        return super().read(wrapped(array, 32, signed=True))


@specimen
class DyOffsetsUnsigned(BatchNormSteps):
    def read_gradient(self, dy):
        return self.read(wrapped(dy, 32, signed=False))


@specimen
class SquareTransposed(BatchNormSteps):
    def train(self, x, *rest):
        return super().train(np.swapaxes(x, 0, 1) if x.shape[0] == x.shape[1] else x, *rest)
