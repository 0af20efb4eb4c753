"""Alternatives to batch norm: nothing, layer and instance normalization, and batch norm in small groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bnconform.training.network import Array, MakeNorm, Norm
from bnconform_reference.definition import Normalized, backward_training, forward_training
from bnconform_reference.double_double import high


class NoNorm:
    """No normalization: the bias is added, and nothing else."""

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        self._shape = weight.shape
        return rows + bias[..., None]

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """See :class:`~bnconform.training.network.Norm`; the weight does nothing, so its gradient is 0."""
        return dy, np.zeros(self._shape), dy.sum(axis=2)


@dataclass
class OwnStatistics:
    """Normalizes every sample by its own statistics, in training and in inference.

    Both are the batch norm of a reshaped problem, with weight and bias applied afterwards: instance normalization
    (Ulyanov et al. 2016) takes (N, C, *spatial) as N C channels, layer normalization (Ba et al. 2016) as N.

    Attributes
    ----------
    over : str
        "instance": each channel of a sample by itself. "layer": all channels of a sample together.
    positions : int
        Number of positions of a feature map.
    eps : float
    """

    over: Literal["instance", "layer"]
    positions: int
    eps: float = 1e-5

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        grouped = self._grouped(rows)
        ones = np.ones((len(grouped), 1))
        self._normalized: Normalized = forward_training(grouped, ones, 0 * ones, self.eps)
        self._weight, self._xhat = weight[..., None], self._back(high(self._normalized.xhat), rows.shape)
        return self._weight * self._xhat + bias[..., None]

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        grouped = self._grouped(dy * self._weight)
        dx = high(backward_training(grouped, np.ones((len(grouped), 1)), self._normalized).dx)
        return self._back(dx, dy.shape), (dy * self._xhat).sum(axis=2), dy.sum(axis=2)

    def _grouped(self, rows: Array) -> Array:
        members, channels, n = rows.shape
        cut = rows.reshape(members, channels, n // self.positions, self.positions)
        if self.over == "layer":
            return cut.transpose(0, 2, 1, 3).reshape(-1, channels * self.positions)
        return cut.reshape(-1, self.positions)

    def _back(self, grouped: Array, shape: tuple[int, ...]) -> Array:
        members, channels, n = shape
        samples = n // self.positions
        if self.over == "layer":
            cut = grouped.reshape(members, samples, channels, self.positions)
            return cut.transpose(0, 2, 1, 3).reshape(shape)
        return grouped.reshape(members, channels, samples, self.positions).reshape(shape)


class InGroups:
    """A batch norm that splits a batch of n values into k groups with statistics of their own, in one gradient step.

    Hoffer, Hubara and Soudry, "Train longer, generalize better" (NeurIPS 2017), section 4: ghost batches. Groups are
    further channels of the inner layer. Inference uses given statistics, the same for all groups.

    Parameters
    ----------
    inner : Norm
        Layer with k times as many channels.
    alone : Norm
        Layer with as many channels as x, for inference.
    groups : int
        Number of groups, k.
    """

    def __init__(self, inner: Norm, alone: Any, groups: int) -> None:
        self._inner, self._alone, self._groups = inner, alone, groups

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        if not training:
            y: Array = self._alone.forward(rows, weight, bias, training=False)
            return y
        repeated = (np.repeat(vector, self._groups, axis=1) for vector in (weight, bias))
        return self._inner.forward(self._cut(rows), *repeated, training=True).reshape(rows.shape)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        dx, dweight, dbias = self._inner.backward(self._cut(dy))
        members, channels, _ = dy.shape
        dweight, dbias = (one.reshape(members, channels, self._groups).sum(axis=2) for one in (dweight, dbias))
        return dx.reshape(dy.shape), dweight, dbias

    def use_population(self, rows: Array) -> None:
        """Give the layer for inference the statistics of all its inputs."""
        self._alone.use_population(rows)

    def _cut(self, rows: Array) -> Array:
        members, channels, n = rows.shape
        return rows.reshape(members, channels * self._groups, n // self._groups)


def without_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
    """Makes :class:`NoNorm`, see :class:`~bnconform.training.network.MakeNorm`."""
    return NoNorm()


def layer_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
    """Makes layer normalization."""
    return OwnStatistics("layer", int(np.prod(spatial)))


def instance_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
    """Makes instance normalization; only feature maps have more than one value per sample and channel."""
    return OwnStatistics("instance", int(np.prod(spatial)))


ALTERNATIVES: dict[str, MakeNorm] = {
    "no normalization": without_norm,
    "layer norm": layer_norm,
    "instance norm": instance_norm,
}
