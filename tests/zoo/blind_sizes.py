"""Blind faults of sizes and shapes: tails, blocks, indices too narrow, axes found by their length."""

from math import prod

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import HALF_TOO
from specimen import specimen


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
