"""Batch normalization in small steps, each of which a specimen may replace.

Inside, x is rows: shape (C, n), one channel a row, in the accumulation dtype. What belongs to a channel is a column,
shape (C, 1). Half types accumulate in float32.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from rows_and_columns import Array, Column, Rows, Saved, accumulator, column, values_per_channel
from second_order_steps import SecondOrderSteps


class BatchNormSteps(SecondOrderSteps):
    """A correct batch norm: two-pass variance, float32 arithmetic for float32."""

    CLAIMS: ClassVar[dict[str, Any]] = {}

    # The contract.

    def forward_training(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        *,
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None, Saved]:
        """y, the new statistics, and what backward needs."""
        self.check_call(x, eps, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
        n = values_per_channel(x)
        run = self.train if n > 1 else self.one_value if n else self.empty_batch
        return run(x, weight, bias, running_mean, running_var, momentum, eps)

    def forward_inference(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        *,
        eps: float,
    ) -> Array:
        """y by the running statistics, or by the batch's own where there are none."""
        self.check_call(x, eps, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
        rows = self.read(x)
        if running_mean is None or running_var is None:
            mean, variance = self.statistics(rows, x, running_mean, running_var, 1.0)
        else:
            mean, variance = column(running_mean, rows, 0.0), column(running_var, rows, 1.0)
        return self.write(self.infer(rows, mean, variance, weight, bias, eps), x)

    def backward(self, dy: Array, saved: Saved) -> tuple[Array, Array | None, Array | None]:
        """dx, dweight and dbias of forward_training."""
        self.check_gradient(dy, saved.x)
        gradient, rows = self.read_gradient(dy), self.read(saved.x)
        if not gradient.size:
            return self.empty_gradients(saved.x, saved.weight, saved.bias)
        xhat = self.saved_xhat(rows, saved)
        dweight, dbias = self.dweight(gradient, xhat), self.dbias(gradient)
        weight = column(saved.weight, rows, 1.0)
        dx = self.dx_training(gradient, xhat, dweight, dbias, weight, saved.invstd)
        return self.give(dx, dweight, dbias, dy, saved.x, saved.weight, saved.bias)

    def backward_inference(
        self,
        dy: Array,
        x: Array,
        weight: Array | None,
        running_mean: Array,
        running_var: Array,
        *,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None]:
        """dx, dweight and dbias of forward_inference, where the statistics are constants."""
        self.check_call(x, eps, weight=weight, running_mean=running_mean, running_var=running_var)
        self.check_gradient(dy, x)
        gradient, rows = self.read_gradient(dy), self.read(x)
        mean, variance = column(running_mean, rows, 0.0), column(running_var, rows, 1.0)
        invstd = self.inference_invstd(variance, eps)
        dweight, dbias = self.dweight_inference(gradient, rows, mean, invstd), self.dbias(gradient)
        dx = self.dx_inference(gradient, rows, column(weight, rows, 1.0), invstd, eps)
        return self.give(dx, dweight, dbias, dy, x, running_mean, running_mean)

    # Memory and arguments.

    def check_call(self, x: Array, eps: float, **per_channel: Array | None) -> None:
        """Refuse what is no batch norm."""
        self.check_rank(x)
        self.check_eps(eps)
        for name, vector in per_channel.items():
            self.check_length(name, vector, x.shape[1])

    def check_rank(self, x: Array) -> None:
        """Refuse x of other ranks than 2 to 5."""
        if not 2 <= x.ndim <= 5:
            raise ValueError(f"x has rank {x.ndim}; pass (N, C) or (N, C, *spatial) of up to 3 spatial axes")

    def check_eps(self, eps: float) -> None:
        """Refuse a negative eps, and NaN."""
        if not eps >= 0:
            raise ValueError(f"eps is {eps}; pass 0 or more")

    def check_length(self, name: str, vector: Array | None, channels: int) -> None:
        """Refuse a per-channel vector that is not one value a channel."""
        if vector is not None and vector.shape != (channels,):
            raise ValueError(f"{name} has shape {vector.shape}; x needs ({channels},)")

    def check_gradient(self, dy: Array, x: Array) -> None:
        """Refuse a dy that is not of y's shape."""
        if dy.shape != x.shape:
            raise ValueError(f"dy has shape {dy.shape}; y has {x.shape}")

    def read(self, array: Array) -> Rows:
        """Values (N, C, *spatial) of any strides as rows of their own."""
        moved = np.ascontiguousarray(np.moveaxis(array, 1, 0))
        return moved.reshape(array.shape[1], values_per_channel(array)).astype(accumulator(array.dtype))

    def read_gradient(self, dy: Array) -> Rows:
        """dy as rows."""
        return self.read(dy)

    def write(self, rows: Rows, like: Array) -> Array:
        """Rows as a new contiguous array of the shape and dtype of `like`."""
        moved = self.round(rows, like.dtype).reshape(like.shape[1], like.shape[0], *like.shape[2:])
        return np.array(np.moveaxis(moved, 0, 1), order="C", copy=True)

    def round(self, rows: Rows, dtype: np.dtype[Any]) -> Rows:
        """Round results to the output's dtype."""
        return rows.astype(dtype)

    # Training.

    def train(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None, Saved]:
        """A training step on a batch that has a variance."""
        rows = self.read(x)
        mean, variance = self.statistics(rows, x, running_mean, running_var, momentum)
        invstd = self.invstd(variance, eps)
        y = self.scale_shift(self.normalize(rows, mean, invstd), weight, bias)
        new_mean, new_var = self.update(x, running_mean, running_var, mean, variance, momentum, eps)
        return self.write(y, x), new_mean, new_var, self.save(x, weight, bias, mean, variance, invstd, eps)

    def statistics(
        self, rows: Rows, x: Array, running_mean: Array | None, running_var: Array | None, momentum: float
    ) -> tuple[Column, Column]:
        """Mean and biased variance that normalize."""
        mean = self.batch_mean(rows)
        return mean, self.batch_variance(rows, mean)

    def sum(self, rows: Rows) -> Column:
        """Sum over each channel."""
        return np.sum(rows, axis=1, keepdims=True)

    def batch_mean(self, rows: Rows) -> Column:
        """Mean of each channel."""
        return self.sum(rows) / rows.shape[1]

    def batch_variance(self, rows: Rows, mean: Column) -> Column:
        """Biased variance of each channel."""
        return self.sum((rows - mean) ** 2) / rows.shape[1]

    def invstd(self, variance: Column, eps: float) -> Column:
        """1 / sqrt(variance + eps)."""
        return 1 / np.sqrt(variance + variance.dtype.type(eps))

    def normalize(self, rows: Rows, mean: Column, invstd: Column) -> Rows:
        """Xhat = (x - mean) * invstd."""
        return (rows - mean) * invstd

    def scale_shift(self, xhat: Rows, weight: Array | None, bias: Array | None) -> Rows:
        """Y = weight * xhat + bias."""
        return column(weight, xhat, 1.0) * xhat + column(bias, xhat, 0.0)

    def save(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        mean: Column,
        variance: Column,
        invstd: Column,
        eps: float,
    ) -> Any:
        """What backward needs."""
        return Saved(x, weight, bias, mean, variance, invstd, eps)

    # Running statistics.

    def update(
        self,
        x: Array,
        running_mean: Array | None,
        running_var: Array | None,
        mean: Column,
        variance: Column,
        momentum: float,
        eps: float,
    ) -> tuple[Array | None, Array | None]:
        """The running statistics after a batch, as new arrays."""
        if running_mean is None or running_var is None:
            return None, None
        stored = self.stored_variance(variance, values_per_channel(x))
        return self.blend(running_mean, mean, momentum), self.blend(running_var, stored, momentum)

    def stored_variance(self, variance: Column, n: int) -> Column:
        """Unbiased variance."""
        return variance * (n / (n - 1))

    def blend(self, old: Array, batch: Column, momentum: float) -> Array:
        """(1 - momentum) old + momentum batch."""
        return (1 - momentum) * old + momentum * batch.ravel().astype(old.dtype)

    # Batches of fewer than two values a channel.

    def one_value(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None, Saved]:
        """Refuse a batch without a variance."""
        raise ValueError(f"training needs more than one value per channel; x has shape {x.shape}")

    def empty_batch(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None, Saved]:
        """An empty y; the statistics stay."""
        rows = self.read(x)
        none = np.zeros((len(rows), 1), rows.dtype)
        kept = [None if array is None else array.copy() for array in (running_mean, running_var)]
        return np.empty_like(x), kept[0], kept[1], Saved(x, weight, bias, none, none, none, eps)

    def empty_gradients(
        self, x: Array, weight: Array | None, bias: Array | None
    ) -> tuple[Array, Array | None, Array | None]:
        """Sums of nothing."""
        zero = np.zeros(x.shape[1], accumulator(x.dtype))
        return np.empty_like(x), None if weight is None else zero, None if bias is None else zero.copy()

    # Inference.

    def infer(
        self, rows: Rows, mean: Column, variance: Column, weight: Array | None, bias: Array | None, eps: float
    ) -> Rows:
        """y by given statistics."""
        return self.scale_shift(self.normalize(rows, mean, self.inference_invstd(variance, eps)), weight, bias)

    def inference_invstd(self, variance: Column, eps: float) -> Column:
        """1 / sqrt(running_var + eps)."""
        return 1 / np.sqrt(variance + variance.dtype.type(eps))

    # Gradients.

    def saved_xhat(self, rows: Rows, saved: Any) -> Rows:
        """Xhat once more, from what was saved."""
        return (rows - saved.mean) * saved.invstd

    def dbias(self, dy: Rows) -> Column:
        """Sum of dy."""
        return self.sum(dy)

    def dweight(self, dy: Rows, xhat: Rows) -> Column:
        """Sum of dy * xhat."""
        return self.sum(dy * xhat)

    def dweight_inference(self, dy: Rows, rows: Rows, mean: Column, invstd: Column) -> Column:
        """Sum of dy * xhat, xhat by the running statistics."""
        return self.dweight(dy, (rows - mean) * invstd)

    def dx_training(self, dy: Rows, xhat: Rows, dweight: Column, dbias: Column, weight: Column, invstd: Column) -> Rows:
        """Weight * invstd * (dy - mean(dy) - xhat * mean(dy * xhat))."""
        n = dy.shape[1]
        return weight * invstd * (dy - dbias / n - xhat * (dweight / n))

    def dx_inference(self, dy: Rows, rows: Rows, weight: Column, invstd: Column, eps: float) -> Rows:
        """Weight * invstd * dy."""
        return weight * invstd * dy

    def give(
        self,
        dx: Rows,
        dweight: Column,
        dbias: Column,
        dy: Array,
        x: Array,
        weight: Array | None,
        bias: Array | None,
    ) -> tuple[Array, Array | None, Array | None]:
        """Gradients in their shapes; those of absent parameters are None."""
        return self.write(dx, x), None if weight is None else dweight.ravel(), None if bias is None else dbias.ravel()
