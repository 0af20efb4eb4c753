"""A batch norm over several devices, for :class:`batch_norm_steps.BatchNormSteps`: what travels, and the merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import Array, Column, Saved, column

Moments: TypeAlias = tuple[int, Column, Column]
"""Count, mean, and sum of squared deviations from it."""


@dataclass(frozen=True)
class SavedShard:
    """What a device keeps: its own forward pass, and the whole batch's count."""

    own: Saved
    count: int


class ShardedSteps(BatchNormSteps):
    """Devices exchange count, mean and squared deviations, merged by Chan's formula, and two sums on the way back."""

    # The contract.

    def partial_statistics(self, x: Array) -> Moments:
        """A device's own count, mean and squared deviations."""
        rows = self.read(x)
        n = rows.shape[1]
        mean = self.batch_mean(rows) if n else np.zeros((len(rows), 1), rows.dtype)
        return n, mean, self.sum((rows - mean) ** 2)

    def forward_merged(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        partials: list[Moments],
        *,
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array | None, Array | None, SavedShard]:
        """y of a shard by the whole batch's statistics, and those moved."""
        rows = self.read(x)
        count, mean, squares = self.merged(partials)
        variance = squares / count
        invstd = self.invstd(variance, eps)
        y = self.scale_shift(self.normalize(rows, mean, invstd), weight, bias)
        saved = self.save(x, weight, bias, mean, variance, invstd, eps)
        moved: list[Array | None] = [running_mean, running_var]
        if running_mean is not None and running_var is not None:
            stored = self.stored_variance(variance, self.stored_count(count, rows))
            moved = [self.blend(running_mean, mean, momentum), self.blend(running_var, stored, momentum)]
        return self.write(y, x), moved[0], moved[1], SavedShard(saved, count)

    def partial_gradients(self, dy: Array, saved: SavedShard) -> tuple[Column, Column]:
        """A device's own sums of dy and of dy * xhat."""
        gradient, own = self.read_gradient(dy), saved.own
        return self.dbias(gradient), self.dweight(gradient, self.saved_xhat(self.read(own.x), own))

    def backward_merged(self, dy: Array, saved: SavedShard, partials: list[tuple[Column, Column]]) -> Any:
        """dx of a shard, and the device's own part of dweight and dbias."""
        gradient, own = self.read_gradient(dy), saved.own
        rows = self.read(own.x)
        xhat, weight = self.saved_xhat(rows, own), column(own.weight, rows, 1.0)
        sums = self.summed(partials)
        mean_dy, mean_dy_xhat = (total / self.gradient_count(saved, rows) for total in sums)
        dx = weight * own.invstd * (gradient - mean_dy - xhat * mean_dy_xhat)
        dbias, dweight = self.own_part(self.partial_gradients(dy, saved), sums)
        return self.give(dx, dweight, dbias, dy, own.x, own.weight, own.bias)

    # The steps.

    def merged(self, partials: list[Moments]) -> Moments:
        """Moments of the whole batch."""
        count, mean, squares = partials[0]
        for n, other, deviations in partials[1:]:
            if n:
                delta = other - mean
                whole = count + n
                mean = mean + delta * (n / whole)
                squares = squares + deviations + delta * delta * (count * n / whole)
                count = whole
        return count, mean, squares

    def stored_count(self, count: int, rows: Array) -> int:
        """n of the stored variance."""
        return count

    def summed(self, partials: list[tuple[Column, Column]]) -> list[Column]:
        """Sums over all devices."""
        return [np.sum(parts, axis=0) for parts in zip(*partials, strict=True)]

    def gradient_count(self, saved: SavedShard, rows: Array) -> int:
        """n of the means of dy and of dy * xhat."""
        return saved.count

    def own_part(self, own: tuple[Column, Column], whole: list[Column]) -> Any:
        """What a device returns as dbias and dweight."""
        return own
