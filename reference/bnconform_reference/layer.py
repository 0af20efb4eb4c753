"""A batch-normalization layer in NumPy: the definition with state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_reference.channel_axes import channel_column, channel_rows, from_channel_rows
from bnconform_reference.debiasing import debiased_momentum
from bnconform_reference.definition import (
    Normalized,
    backward_inference,
    backward_training,
    forward_inference,
    forward_training,
)
from bnconform_reference.dialect import PYTORCH, Dialect
from bnconform_reference.double_double import Array, high
from bnconform_reference.running_statistics import (
    Moments,
    cumulative_momentum,
    population_moments,
    stored_variance,
    update,
)
from bnconform_reference.second_order import (
    Cotangents,
    double_backward_inference,
    double_backward_training,
    jvp_inference,
    jvp_training,
)


class BatchNorm:
    """A batch-normalization layer for inputs (N, C) or (N, C, *spatial), in float64.

    In training mode the layer normalizes each channel by the batch's statistics, and updates the running statistics. In
    inference mode the layer normalizes by the running statistics, or after :meth:`use_population_statistics` by those
    of a whole data set.

    Parameters
    ----------
    num_features : int, optional
        Number of channels, C. None takes it from the first input.
    eps : float
        Added to the variance inside the root; not negative.
    momentum : float or None
        Weight of the new batch in the moving averages, in [0, 1]. None means the plain average over all batches seen.
    dialect : Dialect
        Choices that the definition leaves open; PyTorch's by default. `momentum` always weighs the new batch.

    Attributes
    ----------
    weight, bias : float64 arrays, shape (C,)
        Initially 1 and 0. Not set before num_features is known.
    running_mean, running_var : float64 arrays, shape (C,)
        Initially 0 and 1 in PyTorch's dialect.
    batches_seen : int
        Number of training batches that updated the running statistics.
    dweight, dbias : float64 arrays, shape (C,)
        Gradients of the parameters, set by :meth:`backward`.

    Examples
    --------
    >>> layer = BatchNorm()
    >>> layer(np.array([[1.0], [3.0]])).round(4).tolist()
    [[-1.0], [1.0]]
    >>> layer.running_mean.tolist(), layer.running_var.tolist()
    ([0.2], [1.1])
    >>> layer.eval()(np.array([[0.2]])).tolist()
    [[0.0]]
    """

    weight: Array
    bias: Array
    running_mean: Array
    running_var: Array
    dweight: Array
    dbias: Array

    def __init__(
        self,
        num_features: int | None = None,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        dialect: Dialect = PYTORCH,
    ) -> None:
        if eps < 0:
            raise ValueError(f"eps is {eps}; pass 0 or more")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"momentum is {momentum}; pass a weight of the new batch in [0, 1], or None")
        if momentum is None and not dialect.cumulative:
            raise ValueError("momentum is None, which this dialect does not offer; pass a number")
        self.eps = eps
        self.momentum = momentum
        self.dialect = dialect
        self.training = True
        self.batches_seen = 0
        self.num_features = num_features
        self._saved: tuple[Normalized, tuple[int, ...], bool] | None = None
        self._handed_on: tuple[int, ...] | None = None
        if num_features is not None:
            self._initialise(num_features)

    def _initialise(self, channels: int) -> None:
        self.num_features = channels
        self.weight, self.bias = np.ones(channels), np.zeros(channels)
        self.running_mean = np.full(channels, self.dialect.initial_mean)
        self.running_var = np.full(channels, self.dialect.initial_variance)

    def train(self) -> BatchNorm:
        """Switch to normalization by batch statistics; return the layer."""
        self.training = True
        return self

    def eval(self) -> BatchNorm:
        """Switch to normalization by the running statistics; return the layer."""
        self.training = False
        return self

    def __call__(self, x: NDArray[Any]) -> Array:
        """Normalize x.

        Parameters
        ----------
        x : array, shape (N, C) or (N, C, *spatial)

        Returns
        -------
        float64 array, shape of x

        Raises
        ------
        ValueError
            x has the wrong rank or number of channels; or, in training, one value or none per channel, if the dialect
            says so. The layer's state does not change then.
        """
        rows = channel_rows(x)
        channels, n = rows.shape
        if self.num_features not in (None, channels):
            raise ValueError(f"x has {channels} channels on axis 1; this layer has {self.num_features}")
        if self.training and n == 0 and self.dialect.empty_batch == "raises":
            raise ValueError(f"x has shape {x.shape}: no values per channel to train on")
        if self.training and n == 1 and self.dialect.one_value == "raises":
            raise ValueError(f"x has shape {x.shape}: training needs more than one value per channel")
        if self.num_features is None:
            self._initialise(channels)
        weight, bias = channel_column(self.weight, channels, 1.0), channel_column(self.bias, channels, 0.0)
        if not self.training:
            mean = channel_column(self.running_mean, channels, 0.0)
            variance = channel_column(self.running_var, channels, 1.0)
            forward = forward_inference(rows, weight, bias, mean, variance, self.eps)
        elif n == 0 or (n == 1 and self.dialect.one_value == "identity"):
            self._saved, self._handed_on = None, x.shape
            return np.array(x, np.float64)
        else:
            forward = forward_training(rows, weight, bias, self.eps)
            self._move_statistics(high(forward.mean)[:, 0], high(forward.variance)[:, 0], n)
        self._saved = forward, x.shape, self.training
        return from_channel_rows(high(forward.y), x.shape)

    def move_statistics(self, batch: Moments) -> None:
        """Update the running statistics with a training batch that was normalized elsewhere.

        Raises
        ------
        ValueError
            The batch is empty.
        """
        self._move_statistics(batch.mean, batch.variance(), batch.count)

    def _move_statistics(self, mean: Array, variance: Array, n: int) -> None:
        self.batches_seen += 1
        momentum = self.momentum
        if momentum is None:
            momentum = cumulative_momentum(self.batches_seen)
        elif self.dialect.debiased:
            momentum = debiased_momentum(momentum, self.batches_seen)
        variance = high(stored_variance(variance, n, self.dialect))
        self.running_mean = high(update(self.running_mean, mean, momentum))
        self.running_var = high(update(self.running_var, variance, momentum))

    def backward(self, dy: NDArray[Any]) -> Array:
        """Return dx for the last call, and set `dweight` and `dbias`.

        Parameters
        ----------
        dy : array, shape of the last call's x

        Raises
        ------
        ValueError
            The layer was not called before, or the shapes of dy and the last x differ.
        """
        if self._saved is None:
            if self.num_features is not None and dy.shape == self._handed_on:  # nothing was normalized
                self.dweight, self.dbias = np.zeros(self.num_features), np.zeros(self.num_features)
                return np.array(dy, np.float64)
            raise ValueError("backward needs a forward call before it")
        forward, shape, training = self._saved
        if dy.shape != shape:
            raise ValueError(f"dy has shape {dy.shape}; the last x had {shape}")
        backward = backward_training if training else backward_inference
        gradients = backward(channel_rows(dy), channel_column(self.weight, shape[1], 1.0), forward)
        self.dweight, self.dbias = high(gradients.dweight)[:, 0], high(gradients.dbias)[:, 0]
        return from_channel_rows(high(gradients.dx), shape)

    def double_backward(
        self, ddx: NDArray[Any], ddweight: NDArray[Any], ddbias: NDArray[Any], dy: NDArray[Any]
    ) -> tuple[Array, Array, Array]:
        """Compute gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias), with the gradients from `dy`.

        Parameters
        ----------
        ddx, dy : arrays, shape of the last call's x
        ddweight, ddbias : arrays, shape (C,)

        Returns
        -------
        ddy, dx, dweight : float64 arrays
            Gradients with respect to dy, to the last call's x, and to weight.

        Raises
        ------
        ValueError
            The layer was not called before on at least one value.
        """
        forward, shape, training = self._last_call("double_backward")
        double_backward = double_backward_training if training else double_backward_inference
        weight, cotangents = channel_column(self.weight, shape[1], 1.0), _cotangents(ddx, ddweight, ddbias)
        found = double_backward(cotangents, channel_rows(dy), weight, forward)
        ddy, dx = (from_channel_rows(high(rows), shape) for rows in (found.ddy, found.dx))
        return ddy, dx, high(found.dweight)[:, 0]

    def jvp(self, x_tangent: NDArray[Any], weight_tangent: NDArray[Any], bias_tangent: NDArray[Any]) -> Array:
        """Compute the tangent of the last call's y from tangents of x, weight and bias.

        Raises
        ------
        ValueError
            The layer was not called before on at least one value.
        """
        forward, shape, training = self._last_call("jvp")
        weight = channel_column(self.weight, shape[1], 1.0)
        tangents = _cotangents(x_tangent, weight_tangent, bias_tangent)
        rows = jvp_training(tangents, weight, forward) if training else jvp_inference(tangents, weight, forward)
        return from_channel_rows(high(rows), shape)

    def _last_call(self, asked: str) -> tuple[Normalized, tuple[int, ...], bool]:
        if self._saved is None:
            raise ValueError(f"{asked} needs a forward call on at least one value before it")
        return self._saved

    def use_population_statistics(self, batches: Iterable[NDArray[Any]]) -> BatchNorm:
        """Set the running statistics to those of an entire data set, and switch to inference.

        Ioffe and Szegedy (2015), Algorithm 2, steps 10 and 11: inference uses population statistics. The variance is
        unbiased if the dialect stores unbiased variances. Batches may have any sizes.

        Raises
        ------
        ValueError
            The data set has too few values, or another number of channels than the layer.
        """
        population = population_moments(batches)
        channels = population.mean.size
        if self.num_features not in (None, channels):
            raise ValueError(f"the data set has {channels} channels; this layer has {self.num_features}")
        variance = population.variance(unbiased=self.dialect.stored_variance == "unbiased")
        if self.num_features is None:
            self._initialise(channels)
        self.running_mean, self.running_var = population.mean, variance
        return self.eval()


def _cotangents(ddx: NDArray[Any], ddweight: NDArray[Any], ddbias: NDArray[Any]) -> Cotangents:
    channels = ddx.shape[1]
    return Cotangents(channel_rows(ddx), channel_column(ddweight, channels, 0.0), channel_column(ddbias, channels, 0.0))
