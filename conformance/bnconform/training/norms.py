"""Batch norm layers for the network: the oracle's, exact or with rounding errors, and any implementation's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bnconform.judging.oracle import expect
from bnconform.training.network import Array
from bnconform_adapters.claims import Claims, Layout
from bnconform_adapters.contract import DTYPES, AnyArray, Case, Outcome, parameter_dtype
from bnconform_reference.channel_axes import channel_rows, from_channel_rows
from bnconform_reference.definition import (
    Normalized,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.double_double import high
from bnconform_reference.precision import UNIT_ROUNDOFF, DtypeName
from bnconform_reference.running_statistics import stored_variance, update

Call: TypeAlias = Callable[[Case], Outcome]
"""A function that calls one layer of an implementation with one case after the other."""


@dataclass(frozen=True)
class Settings:
    """The settings of a batch norm layer.

    Attributes
    ----------
    momentum : float
        Weight of the new batch.
    eps : float
    dtype : str
        dtype of x.
    layout : str
        Memory layout of x and dy.
    """

    momentum: float = 0.1
    eps: float = 1e-5
    dtype: DtypeName = "float32"
    layout: Layout = "contiguous"


class ImplementationNorm:
    """An implementation's layer for several networks (members) at once; each member has its own channels.

    A Case must hold dy, but dy is known only after y. So a step takes two calls: one for y and new statistics; then
    the old ones are loaded once more, and the same x is called with dy, for the gradients.

    Parameters
    ----------
    call : callable
        Function that calls a new layer.
    channels, spatial
        Sizes of x.
    settings : Settings
    claims : Claims
    members : int

    Attributes
    ----------
    running_mean, running_var : arrays, shape (M C,)
    """

    def __init__(
        self,
        call: Call,
        channels: int,
        spatial: tuple[int, ...],
        settings: Settings,
        claims: Claims,
        members: int = 1,
    ) -> None:
        self._call, self._settings, self._shape = call, settings, (members * channels, *spatial)
        self._members, self._dialect = members, claims.dialect
        self._kept = DTYPES[parameter_dtype(settings.dtype)]
        self.running_mean: AnyArray = np.full(members * channels, claims.dialect.initial_mean, self._kept)
        self.running_var: AnyArray = np.full(members * channels, claims.dialect.initial_variance, self._kept)
        self._case: Case | None = None

    def case(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Case:
        """The call of a forward pass."""
        settings = self._settings
        return Case(
            self._given(rows),
            weight=weight.ravel().astype(self._kept),
            bias=bias.ravel().astype(self._kept),
            running_mean=self.running_mean,
            running_var=self.running_var,
            training=training,
            momentum=settings.momentum,
            eps=settings.eps,
            layout=settings.layout,
            dy_layout=settings.layout,
            before="nothing" if self._case is None else "load",
        )

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        """See :class:`~bnconform.training.network.Norm`; a training pass moves the statistics."""
        self._case = self.case(rows, weight, bias, training=training)
        outcome = self._call(self._case)
        if training:
            self.running_mean, self.running_var = _present(outcome.running_mean), _present(outcome.running_var)
        return channel_rows(_present(outcome.y)).reshape(rows.shape)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        assert self._case is not None
        outcome = self._call(replace(self._case, dy=self._given(dy), before="load"))
        dx, dweight, dbias = (_present(array) for array in (outcome.dx, outcome.dweight, outcome.dbias))
        dweight, dbias = (array.astype(np.float64).reshape(self._members, -1) for array in (dweight, dbias))
        return channel_rows(dx).reshape(dy.shape), dweight, dbias

    def use_population(self, rows: Array) -> None:
        """Replace the moving averages by the statistics of all inputs of the layer, (M, C, n)."""
        x = _side_by_side(rows)
        self.running_mean = x.mean(axis=1).astype(self._kept)
        self.running_var = (x.var(axis=1) * self._dialect.bessel_factor(x.shape[1])).astype(self._kept)

    def _given(self, rows: Array) -> AnyArray:
        samples = rows.shape[2] // int(np.prod(self._shape[1:]))
        return from_channel_rows(_side_by_side(rows), (samples, *self._shape)).astype(DTYPES[self._settings.dtype])


def _present(array: AnyArray | None) -> AnyArray:
    assert array is not None
    return array


class OracleNorm:
    """The definition in float64, for any number of members.

    Attributes
    ----------
    running_mean, running_var : float64 arrays, shape (M, C)
    """

    def __init__(self, members: int, channels: int, settings: Settings, claims: Claims) -> None:
        self._settings, self._claims = settings, claims
        self.running_mean = np.full((members, channels), claims.dialect.initial_mean)
        self.running_var = np.full((members, channels), claims.dialect.initial_variance)
        self._forward: Normalized | None = None
        self._weight: Array | None = None

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        """See :class:`~bnconform.training.network.Norm`; a training pass moves the statistics."""
        x, weight, bias = _side_by_side(rows), weight.reshape(-1, 1), bias.reshape(-1, 1)
        if not training:
            mean, variance = self.running_mean.reshape(-1, 1), self.running_var.reshape(-1, 1)
            return high(forward_inference(x, weight, bias, mean, variance, self._settings.eps).y).reshape(rows.shape)
        self._forward = forward_training(x, weight, bias, self._settings.eps)
        self._weight = weight
        mean = high(self._forward.mean)
        variance = high(stored_variance(self._forward.variance, x.shape[1], self._claims.dialect))
        kept, momentum = self.running_mean.shape, self._settings.momentum
        self.running_mean = high(update(self.running_mean, mean.reshape(kept), momentum))
        self.running_var = high(update(self.running_var, variance.reshape(kept), momentum))
        return high(self._forward.y).reshape(rows.shape)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        assert self._forward is not None
        assert self._weight is not None
        found = backward_training(_side_by_side(dy), self._weight, self._forward)
        kept = self.running_mean.shape
        return high(found.dx).reshape(dy.shape), high(found.dweight).reshape(kept), high(found.dbias).reshape(kept)


def _side_by_side(rows: Array) -> Array:
    """(M, C, n) as (M C, n): members are further channels, which are independent."""
    return rows.reshape(-1, rows.shape[2])


class RoundingNorm(OracleNorm):
    """The oracle's layer; the first member is exact, the others have the largest allowed errors.

    Every input is off by the rounding to its dtype, and every output by its allowed error, in a random direction. One
    half of the members draws a sign for every number. The other half draws one for every channel, like the errors of
    mean and variance.

    Parameters
    ----------
    half : int
        Members in each half; there are ``1 + 2 * half`` in total.
    channels, spatial
        Sizes of x.
    settings, claims
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        half: int,
        channels: int,
        spatial: tuple[int, ...],
        settings: Settings,
        claims: Claims,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(1 + 2 * half, channels, settings, claims)
        self._half, self._rng = half, rng
        self._twin = ImplementationNorm(lambda case: Outcome(), channels, spatial, settings, claims)
        self._case: Case | None = None

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        case = self._twin.case(rows[:1], weight[:1], bias[:1], training=training)
        self._case = replace(
            case,
            running_mean=self.running_mean[0].astype(DTYPES[self._parameter]),
            running_var=self.running_var[0].astype(DTYPES[self._parameter]),
        )
        allowed = {name: quantity.allowed for name, quantity in expect(self._case, self._claims).items()}
        given = self._rounded(rows), self._rounded(weight, self._parameter), self._rounded(bias, self._parameter)
        y = self._off(super().forward(*given, training=training), channel_rows(allowed["y"]))
        if training:
            self.running_mean = self._off(self.running_mean, allowed["running_mean"])
            self.running_var = self._off(self.running_var, allowed["running_var"])
        return y

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        assert self._case is not None
        case = replace(self._case, dy=from_channel_rows(dy[0], self._case.x.shape).astype(self._case.x.dtype))
        allowed = {name: quantity.allowed for name, quantity in expect(case, self._claims).items()}
        dx, dweight, dbias = super().backward(self._rounded(dy))
        dx = self._off(dx, channel_rows(allowed["dx"]))
        return dx, self._off(dweight, allowed["dweight"]), self._off(dbias, allowed["dbias"])

    @property
    def _parameter(self) -> DtypeName:
        return parameter_dtype(self._settings.dtype)

    def _rounded(self, array: Array, dtype: DtypeName | None = None) -> Array:
        """An input with its rounding error; float64 inputs are exact."""
        dtype = dtype or self._settings.dtype
        return array if dtype == "float64" else self._off(array, UNIT_ROUNDOFF[dtype] * np.abs(array[0]))

    def _off(self, array: Array, allowed: Array) -> Array:
        """An array (M, C) or (M, C, n); all members but the first are off by `allowed`, (C,) or (C, n), up or down."""
        by_number = self._rng.choice((-1.0, 1.0), (self._half, *allowed.shape))
        by_channel = self._rng.choice((-1.0, 1.0), (self._half, len(allowed), *(1 for _ in allowed.shape[1:])))
        off = np.concatenate([np.zeros((1, *allowed.shape)), by_number * allowed, by_channel * allowed])
        return np.asarray(array + off)
