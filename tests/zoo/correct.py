"""Correct implementations of different make: other algorithms, other dialects. No law may fail them."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import Saved, accumulator, claims, column
from sharded_steps import ShardedSteps
from specimen import specimen

CORRECT = (
    ("TwoPass", "two passes, pairwise sums"),
    ("Sequential", "two passes, one value after the other"),
    ("Welford", "Welford's running mean, one value after the other"),
    ("Chan", "partial statistics of up to 8 values merged in a tree"),
    ("Blocked", "sums of blocks of 64, then of the blocks"),
    ("Compensated", "Kahan's summation in 64 lanes, and of the lanes"),
    ("MatrixProduct", "sums as products with a vector of ones"),
    ("OverAxes", "NumPy's mean and var over the axes of x as it lies"),
    ("DoubleInside", "float64 throughout, rounded at the end"),
    ("DoubleSums", "float64 sums of float32 terms"),
    ("Folded", "y = x * scale + shift in both modes"),
    ("FoldedGradient", "dx = a * dy + b * x + c"),
    ("TableRoot", "reciprocal roots to 3 units in the last place"),
    ("Shuffled", "values summed in a fixed random order"),
    ("Sorted", "values summed in ascending order of size"),
    ("InPlace", "statistics updated in place"),
    ("MultipliedOut", "second-order gradients multiplied out, part by part"),
    ("SavesXhat", "backward reuses the forward pass's xhat"),
    ("OnePass", "E[x^2] - E[x]^2, and says so"),
    ("ShiftedOnePass", "one pass about the first value, and says so"),
    ("WeighsOld", "momentum weighs the old value, biased stored variance"),
    ("OneValueAllowed", "one value per channel has variance 0; an empty batch raises"),
    ("InferenceOnly", "offers nothing but inference"),
    ("Sharded", "shards on several devices, merged by Chan's formula"),
    ("ShardedSums", "shards exchange sums of x and of x^2, and it says so"),
)


class _AllDtypes(BatchNormSteps):
    """The steps, for every dtype."""

    CLAIMS = claims()


@specimen
class TwoPass(_AllDtypes):
    CLAIMS = claims(grade="TT")


@specimen
class Sequential(_AllDtypes):
    CLAIMS = claims(grade="NT")

    def sum(self, rows):
        if not rows.size:
            return super().sum(rows)
        return np.add.accumulate(rows, axis=1)[:, -1:]


@specimen
class Welford(_AllDtypes):
    def statistics(self, rows, *rest):
        mean, squares = np.zeros_like(rows[:, 0]), np.zeros_like(rows[:, 0])
        for k, values in enumerate(np.ascontiguousarray(rows.T), 1):
            delta = values - mean
            mean = mean + delta / k
            squares = squares + delta * (values - mean)
        return mean[:, None], (squares / rows.shape[1])[:, None]


@specimen
class Chan(_AllDtypes):
    CLAIMS = claims(grade="TW")

    def statistics(self, rows, *rest):
        return self.merged(rows)[:2]

    def merged(self, rows):
        """Mean, biased variance and count of rows."""
        n = rows.shape[1]
        if n <= 8:
            mean = self.batch_mean(rows)
            return mean, self.batch_variance(rows, mean), n
        mean_a, var_a, a = self.merged(rows[:, : n // 2])
        mean_b, var_b, b = self.merged(rows[:, n // 2 :])
        delta = mean_b - mean_a
        mean = mean_a + delta * rows.dtype.type(b / n)
        within = var_a * rows.dtype.type(a / n) + var_b * rows.dtype.type(b / n)
        return mean, within + delta * delta * rows.dtype.type(a * b / n**2), n


@specimen
class Blocked(_AllDtypes):
    CLAIMS = claims(grade="NT")

    def sum(self, rows):
        if not rows.size:
            return super().sum(rows)
        blocks = np.add.reduceat(rows, np.arange(0, rows.shape[1], 64), axis=1)
        return np.add.accumulate(blocks, axis=1)[:, -1:]


@specimen
class Compensated(_AllDtypes):
    CLAIMS = claims(grade="TT")

    def sum(self, rows):
        terms = np.pad(rows.T, ((0, -rows.shape[1] % 64), (0, 0)))
        lanes = self.total(terms.reshape(len(terms) // 64, 64, len(rows)))
        return self.total(lanes)[:, None]

    def total(self, terms):
        total, lost = np.zeros_like(terms[0]), np.zeros_like(terms[0])
        for term in terms:
            value = term - lost
            new = total + value
            lost = (new - total) - value
            total = new
        return total


@specimen
class MatrixProduct(_AllDtypes):
    CLAIMS = claims(grade="NT", bitwise=False)  # BLAS blocks channels together

    def sum(self, rows):
        return rows @ np.ones((rows.shape[1], 1), rows.dtype)


@specimen
class OverAxes(_AllDtypes):
    CLAIMS = claims(grade="NT")

    def statistics(self, rows, x, *rest):
        axes = (0, *range(2, x.ndim))
        wide = x.astype(accumulator(x.dtype))
        return np.mean(wide, axis=axes)[:, None], np.var(wide, axis=axes)[:, None]


@specimen
class DoubleInside(_AllDtypes):
    CLAIMS = claims(grade="TT")

    def read(self, array):
        return super().read(array).astype(np.float64)

    def blend(self, old, batch, momentum):
        return super().blend(old.astype(np.float64), batch, momentum).astype(old.dtype)

    def give(self, dx, dweight, dbias, dy, *rest):
        narrow = accumulator(dy.dtype)
        return super().give(dx, dweight.astype(narrow), dbias.astype(narrow), dy, *rest)


@specimen
class DoubleSums(_AllDtypes):
    CLAIMS = claims(grade="TT")

    def sum(self, rows):
        return np.sum(rows, axis=1, keepdims=True, dtype=np.float64).astype(rows.dtype)


@specimen
class Folded(_AllDtypes):
    def train(self, x, weight, bias, running_mean, running_var, momentum, eps):
        _, *rest = super().train(x, weight, bias, running_mean, running_var, momentum, eps)
        rows, saved = self.read(x), rest[-1]
        return self.write(self.fold(rows, saved.mean, saved.invstd, weight, bias), x), *rest

    def infer(self, rows, mean, variance, weight, bias, eps):
        return self.fold(rows, mean, self.inference_invstd(variance, eps), weight, bias)

    def fold(self, rows, mean, invstd, weight, bias):
        scale = column(weight, rows, 1.0) * invstd
        return rows * scale + (column(bias, rows, 0.0) - mean * scale)


@specimen
class FoldedGradient(_AllDtypes):
    def backward(self, dy, saved):
        dx, dweight, dbias = super().backward(dy, saved)
        if not dy.size:
            return dx, dweight, dbias
        rows, gradient = self.read(saved.x), self.read(dy)
        xhat, n = self.saved_xhat(rows, saved), rows.shape[1]
        scale = column(saved.weight, rows, 1.0) * saved.invstd
        slope = -scale * saved.invstd * self.sum(gradient * xhat) / n
        shift = -scale * self.sum(gradient) / n
        return self.write(scale * gradient + slope * (rows - saved.mean) + shift, saved.x), dweight, dbias


@specimen
class TableRoot(_AllDtypes):
    def invstd(self, variance, eps):
        bits = np.uint64 if variance.dtype == np.float64 else np.uint32
        return (super().invstd(variance, eps).view(bits) & ~bits(3)).view(variance.dtype)

    def inference_invstd(self, variance, eps):
        return self.invstd(variance, eps)


@specimen
class Shuffled(_AllDtypes):
    CLAIMS = claims(grade="NT")

    def sum(self, rows):
        order = np.random.default_rng(rows.shape[1]).permutation(rows.shape[1])
        return np.add.accumulate(rows[:, order], axis=1)[:, -1:]


@specimen
class Sorted(_AllDtypes):
    CLAIMS = claims(grade="NT")

    def sum(self, rows):
        order = np.argsort(np.abs(rows), axis=1, kind="stable")
        return np.add.accumulate(np.take_along_axis(rows, order, axis=1), axis=1)[:, -1:]


@specimen
class InPlace(_AllDtypes):
    def update(self, x, running_mean, running_var, *rest):
        if running_mean is not None:
            running_mean[...], running_var[...] = super().update(x, running_mean, running_var, *rest)
        return None, None


@specimen
class SavesXhat(_AllDtypes):
    def save(self, x, weight, bias, mean, variance, invstd, eps):
        xhat = self.normalize(self.read(x), mean, invstd)
        return Saved(x, weight, bias, xhat, variance, invstd, eps)

    def saved_xhat(self, rows, saved):
        return saved.mean


@specimen
class MultipliedOut(_AllDtypes):
    def second_dx(self, v, vw, dy, xhat, weight, invstd):
        # As automatic differentiation has it: every part on its own, and sums before products.
        a, b = self.mean(v * xhat), self.mean(dy * xhat)
        parts = [b * v, -b * self.mean(v), a * dy, -a * self.mean(dy), xhat * self.mean(v * dy)]
        parts += [-xhat * (self.mean(v) * self.mean(dy)), -xhat * (2 * a * b), -xhat * (a * b)]
        by_weight = [vw * invstd * dy, -vw * invstd * self.mean(dy), -vw * invstd * xhat * b]
        return sum((-weight * invstd * (invstd * part) for part in parts), sum(by_weight))

    def tangent(self, v, vw, vb, xhat, weight, invstd):
        scale, n = weight * invstd, v.shape[1]
        return scale * v - scale / n * self.sum(v) - scale / n * xhat * self.sum(v * xhat) + (vw * xhat + vb)


@specimen
class OnePass(_AllDtypes):
    CLAIMS = claims(grade="NN", eps_min=1e-12)

    def batch_variance(self, rows, mean):
        return np.maximum(self.batch_mean(rows * rows) - mean * mean, 0)


@specimen
class ShiftedOnePass(_AllDtypes):
    CLAIMS = claims(grade="NN", eps_min=1e-12)

    def statistics(self, rows, *rest):
        shift = rows[:, :1]
        mean = self.batch_mean(rows - shift)
        return mean + shift, np.maximum(self.batch_mean((rows - shift) ** 2) - mean * mean, 0)


@specimen
class WeighsOld(_AllDtypes):
    CLAIMS = claims(momentum_weighs="old", stored_variance="biased")

    def stored_variance(self, variance, n):
        return variance

    def blend(self, old, batch, momentum):
        return momentum * old + (1 - momentum) * batch.ravel().astype(old.dtype)


@specimen
class OneValueAllowed(_AllDtypes):
    CLAIMS = claims(one_value="zero_variance", empty_batch="raises", eps_min=1e-12)

    def stored_variance(self, variance, n):
        return variance * (n / max(n - 1, 1))

    def one_value(self, *arguments):
        return self.train(*arguments)

    def empty_batch(self, x, *rest):
        raise ValueError(f"x of shape {x.shape} has no values")


@specimen
class InferenceOnly:
    CLAIMS = claims()
    forward_inference = BatchNormSteps().forward_inference


@specimen
class Sharded(ShardedSteps):
    CLAIMS = claims()

    def summed(self, partials):  # in what was gathered, which is each device's own
        first, *others = partials
        for dbias, dweight in others:
            first[0][...] += dbias
            first[1][...] += dweight
        return list(first)


@specimen
class ShardedSums(ShardedSteps):
    CLAIMS = claims(grade="NN", eps_min=1e-12)

    def partial_statistics(self, x):
        rows = self.read(x)
        return rows.shape[1], self.sum(rows), self.sum(rows * rows)

    def merged(self, partials):
        count = sum(n for n, _, _ in partials)
        total, squares = (np.sum(parts, axis=0) for parts in list(zip(*partials, strict=True))[1:])
        mean = total / count
        return count, mean, np.maximum(squares / count - mean * mean, 0) * count
