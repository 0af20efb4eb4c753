"""Correct ways to differentiate batch normalization twice in float32, on top of the ways to compute its statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rounded_algorithms import Algorithm, Rows, Sum


@dataclass(frozen=True)
class Inputs:
    """What a double backward pass starts from, in the accumulation dtype: rows (C, n) and columns (C, 1)."""

    x: Rows
    dy: Rows
    ddx: Rows
    ddweight: Rows
    ddbias: Rows
    weight: Rows
    mean: Rows
    invstd: Rows
    sum: Sum

    def average(self, rows: Rows) -> Rows:
        """Mean over each channel."""
        return self.sum(rows) / rows.dtype.type(rows.shape[-1])


@dataclass(frozen=True)
class Results:
    """What a double backward pass returns: rows ddy and dx, a column dweight."""

    ddy: Rows
    dx: Rows
    dweight: Rows


Form = Callable[[Inputs], Results]


def centred(i: Inputs) -> Results:
    """The formulas of the definition."""
    v, d = i.ddx - i.average(i.ddx), i.dy - i.average(i.dy)
    xhat = (i.x - i.mean) * i.invstd
    a, b, c = i.average(i.ddx * xhat), i.average(i.dy * xhat), i.average(v * i.dy)
    through_statistics = b * v + a * d + xhat * (c - 3 * (a * b))
    return Results(
        i.weight * i.invstd * (v - xhat * a) + i.ddweight * xhat + i.ddbias,
        i.ddweight * i.invstd * (d - xhat * b) - i.weight * i.invstd * i.invstd * through_statistics,
        i.sum(i.ddx * (d - xhat * b)) * i.invstd,
    )


def multiplied_out(i: Inputs) -> Results:
    """Sums of products first, powers of invstd last, in the manner of frameworks' double backward functions."""
    n = i.x.dtype.type(i.x.shape[-1])
    deviation, square, cube = i.x - i.mean, i.invstd**2, i.invstd**3
    sum_v, sum_d = i.sum(i.ddx), i.sum(i.dy)
    along_v, along_d = i.sum(i.ddx * deviation), i.sum(i.dy * deviation)
    inner = sum_v * sum_d / n - i.sum(i.dy * i.ddx) + square * along_d * along_v * 3 / n
    dx = deviation * cube * inner / n
    dx = dx + along_v * cube / n * (sum_d / n - i.dy) + along_d * cube / n * (sum_v / n - i.ddx)
    by_weight = i.dy * i.invstd - i.invstd * sum_d / n - deviation * cube * along_d / n

    def first(u: Rows, total: Rows, along: Rows, weight: Rows | float) -> Rows:
        return weight * i.invstd / n * (n * u - total - deviation * square * along)

    return Results(
        first(i.ddx, sum_v, along_v, i.weight) + i.ddweight * (deviation * i.invstd) + i.ddbias,
        i.weight * dx + i.ddweight * by_weight,
        i.sum(i.ddx * first(i.dy, sum_d, along_d, np.float32(1))),
    )


def folded(i: Inputs) -> Results:
    """Nothing centred before it is summed or scaled: x is multiplied first, the mean's share taken off later."""
    v_mean, d_mean = i.average(i.ddx), i.average(i.dy)
    a = i.invstd * (i.average(i.ddx * i.x) - i.mean * v_mean)
    b = i.invstd * (i.average(i.dy * i.x) - i.mean * d_mean)
    c = i.average(i.ddx * i.dy) - v_mean * d_mean

    def xhat_times(column: Rows) -> Rows:
        scale = i.invstd * column
        return i.x * scale - i.mean * scale

    scale = i.weight * i.invstd
    n = i.x.dtype.type(i.x.shape[-1])
    by_weight = i.dy - d_mean - xhat_times(b)
    parts = b * i.ddx - b * v_mean + a * i.dy - a * d_mean + xhat_times(c - 3 * a * b)
    return Results(
        scale * i.ddx - scale * v_mean - xhat_times(scale * a) + xhat_times(i.ddweight) + i.ddbias,
        i.ddweight * i.invstd * by_weight - scale * i.invstd * parts,
        n * i.invstd * (c - a * b),
    )


FORMS: dict[str, Form] = {"centred": centred, "multiplied out": multiplied_out, "folded": folded}


def differentiate_twice(
    algorithm: Algorithm,
    form: Form,
    x: Rows,
    dy: Rows,
    ddx: Rows,
    ddweight: Rows,
    ddbias: Rows,
    weight: Rows,
    *,
    eps: float,
    output: Any,
) -> Results:
    """A double backward pass of training; rows hold values of `output`, columns float32 values."""
    kind = algorithm.accumulation
    x, dy, ddx, ddweight, ddbias, weight = (v.astype(kind) for v in (x, dy, ddx, ddweight, ddbias, weight))
    mean, variance = algorithm.statistics(x, algorithm.sum)
    invstd = kind(1) / np.sqrt(variance + kind(eps))
    found = form(Inputs(x, dy, ddx, ddweight, ddbias, weight, mean, invstd, algorithm.sum))
    return Results(found.ddy.astype(output), found.dx.astype(output), found.dweight.astype(np.float32))
