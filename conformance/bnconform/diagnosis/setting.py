"""The parts of a case in float64, from which mistaken formulas are built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case
from bnconform_reference.channel_axes import channel_column, channel_rows
from bnconform_reference.double_double import Array


@dataclass(frozen=True, eq=False)
class Setting:
    """The parts of a case, with the right intermediate values.

    Attributes
    ----------
    x, dy, xhat : rows (C, n)
    weight, bias, old_mean, old_var, mean, variance, invstd, dweight, dbias : columns (C, 1)
        `mean`, `variance` and `invstd` normalize in the mode of the case; `old_mean` and `old_var` are the running
        statistics before the call.
    batch_mean, batch_var : columns (C, 1)
        Mean and biased variance of x.
    m, eps : float
    n : int
    samples : int
        N, the size of axis 0.
    unbiased : bool
        Whether the stored variance divides by n - 1, as claimed.
    """

    x: Array
    dy: Array
    weight: Array
    bias: Array
    old_mean: Array
    old_var: Array
    batch_mean: Array
    batch_var: Array
    mean: Array
    variance: Array
    invstd: Array
    xhat: Array
    dweight: Array
    dbias: Array
    m: float
    eps: float
    n: int
    samples: int
    unbiased: bool

    @classmethod
    def of(cls, case: Case, claims: Claims) -> Setting:
        """The setting of a case with running statistics."""
        x, channels = channel_rows(case.x), case.channels
        dy = np.zeros_like(x) if case.dy is None else channel_rows(case.dy)
        old_mean = channel_column(case.running_mean, channels, 0.0)
        old_var = channel_column(case.running_var, channels, 1.0)
        batch_mean, batch_var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
        mean, variance = (batch_mean, batch_var) if case.training else (old_mean, old_var)
        invstd = 1 / np.sqrt(variance + case.eps)
        xhat = (x - mean) * invstd
        return cls(
            x=x,
            dy=dy,
            weight=channel_column(case.weight, channels, 1.0),
            bias=channel_column(case.bias, channels, 0.0),
            old_mean=old_mean,
            old_var=old_var,
            batch_mean=batch_mean,
            batch_var=batch_var,
            mean=mean,
            variance=variance,
            invstd=invstd,
            xhat=xhat,
            dweight=(dy * xhat).sum(axis=1, keepdims=True),
            dbias=dy.sum(axis=1, keepdims=True),
            m=0.1 if case.momentum is None else case.momentum,
            eps=case.eps,
            n=x.shape[1],
            samples=case.x.shape[0],
            unbiased=claims.dialect.stored_variance == "unbiased",
        )

    @property
    def bessel(self) -> float:
        """Bessel's factor, n / (n - 1)."""
        return self.n / (self.n - 1)

    @property
    def batch_stored(self) -> Array:
        """The batch variance that should enter the running variance."""
        return self.batch_var * (self.bessel if self.unbiased else 1.0)
