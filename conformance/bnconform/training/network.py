"""A small feed-forward network in float64 NumPy, with normalization layers that someone else provides.

Everything has a leading axis of members: M networks of one architecture run side by side on the same batch, each with
its own parameters. Activations are (M, C, n) with n = N times the positions of a feature map, so that every channel is
a row. Gradients are written out by hand; the tests hold them against differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bnconform.training.digits import CLASSES, PIXELS, SIDE

Array: TypeAlias = NDArray[np.float64]
Parameters: TypeAlias = dict[str, Array]


class Norm(Protocol):
    """A normalization layer with its state; its weight and bias belong to the network."""

    def forward(self, rows: Array, weight: Array, bias: Array, *, training: bool) -> Array:
        """Normalize rows (M, C, n); weight and bias are (M, C)."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """dx (M, C, n), dweight and dbias (M, C) of the last training pass."""


class MakeNorm(Protocol):
    """Makes the normalization layers of a network, in the order of its layers."""

    def __call__(self, channels: int, spatial: tuple[int, ...]) -> Norm:
        """A new layer for x of shape (N, channels, *spatial)."""


class _Layer(Protocol):
    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array: ...

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]: ...


@dataclass
class _Linear:
    """weight @ rows, and a bias where `name_bias` is given: dense, or a convolution on patches."""

    name: str
    biased: bool

    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        self._rows = rows
        y = parameters[f"{self.name}.weight"] @ rows
        return y + parameters[f"{self.name}.bias"][..., None] if self.biased else y

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        gradients = {f"{self.name}.weight": dy @ self._rows.swapaxes(1, 2)}
        if self.biased:
            gradients[f"{self.name}.bias"] = dy.sum(axis=2)
        return parameters[f"{self.name}.weight"].swapaxes(1, 2) @ dy, gradients


@dataclass
class _Normalized:
    name: str
    norm: Norm

    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        weight, bias = parameters[f"{self.name}.weight"], parameters[f"{self.name}.bias"]
        return self.norm.forward(rows, weight, bias, training=training)

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        dx, dweight, dbias = self.norm.backward(dy)
        return dx, {f"{self.name}.weight": dweight, f"{self.name}.bias": dbias}


class _Softplus:
    """log(1 + exp(x)): ReLU without the kink, over which no error could be propagated."""

    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        self._rows = rows
        return np.logaddexp(0.0, rows)

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        return dy * np.exp(-np.logaddexp(0.0, -self._rows)), {}


class _ReLU:
    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        self._positive = rows > 0
        return np.where(self._positive, rows, 0.0)

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        return np.where(self._positive, dy, 0.0), {}


ACTIVATIONS: dict[str, Callable[[], _Layer]] = {"softplus": _Softplus, "relu": _ReLU}


@dataclass
class _Blocks:
    """Cuts maps of side x side positions into blocks, whose values become channels; the whole map is one block too.

    A linear layer behind it is a convolution whose kernel is as large as its stride.
    """

    side: int
    block: int

    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        members, channels, n = rows.shape
        self._shape = rows.shape
        fewer, samples = self.side // self.block, n // self.side**2
        cut = rows.reshape(members, channels, samples, fewer, self.block, fewer, self.block)
        return cut.transpose(0, 1, 4, 6, 2, 3, 5).reshape(members, channels * self.block**2, samples * fewer**2)

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        channels, n = self._shape[1:]
        fewer, samples = self.side // self.block, n // self.side**2
        cut = dy.reshape(dy.shape[0], channels, self.block, self.block, samples, fewer, fewer)
        return cut.transpose(0, 1, 4, 5, 2, 6, 3).reshape(dy.shape[0], channels, n), {}


def pixels(images: Array) -> Array:
    """Images (N, 8, 8) as a fully connected network takes them: (1, 64, N), from 0 to 1."""
    return np.ascontiguousarray(images.reshape(len(images), PIXELS).T)[None] / 16


def patches(images: Array) -> Array:
    """Images as a 3 x 3 convolution with padding takes them: (1, 9, N * 64), from 0 to 1."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))) / 16
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.ascontiguousarray(windows.reshape(-1, 9).T)[None]


@dataclass(frozen=True)
class Architecture:
    """What a network consists of.

    Attributes
    ----------
    hidden : tuple of int
        Channels of the hidden layers.
    convolutional : bool
        Whether the first hidden layer is a 3 x 3 convolution and each further one a 2 x 2 convolution of stride 2;
        otherwise all are fully connected.
    activation : str
        One of :data:`ACTIVATIONS`.
    """

    hidden: tuple[int, ...]
    convolutional: bool = False
    activation: str = "relu"

    def input(self, images: Array) -> Array:
        """Images (N, 8, 8) as the first layer takes them."""
        return patches(images) if self.convolutional else pixels(images)

    def fan_in(self) -> list[int]:
        """Summands of every linear layer, the output layer's last."""
        inner = [4 * channels if self.convolutional else channels for channels in self.hidden[:-1]]
        positions = (SIDE >> (len(self.hidden) - 1)) ** 2 if self.convolutional else 1
        return [9 if self.convolutional else PIXELS, *inner, self.hidden[-1] * positions]

    def spatial(self, layer: int) -> tuple[int, ...]:
        """Spatial axes of a hidden layer."""
        return (SIDE >> layer,) * 2 if self.convolutional else ()


DENSE = Architecture((32,))
CONVOLUTIONAL = Architecture((6, 8), convolutional=True)


def initial(architecture: Architecture, rng: np.random.Generator, *, scale: float = 1.0) -> Parameters:
    """Parameters of one member: normal weights of variance scale^2 2 / fan_in (He et al. 2015), biases 0.

    Weight and bias of the normalization layers are 1 and 0.
    """
    parameters: Parameters = {}
    sizes = (*architecture.hidden, CLASSES)
    for i, (out, summands) in enumerate(zip(sizes, architecture.fan_in(), strict=True)):
        last = i == len(architecture.hidden)
        name = "output" if last else f"linear{i}"
        parameters[f"{name}.weight"] = scale * rng.standard_normal((1, out, summands)) * (2 / summands) ** 0.5
        if last:
            parameters[f"{name}.bias"] = np.zeros((1, out))
        else:
            parameters[f"norm{i}.weight"], parameters[f"norm{i}.bias"] = np.ones((1, out)), np.zeros((1, out))
    return parameters


class Network:
    """A network that can be trained.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of str to float64 arrays, shapes (M, ...)
        As :func:`initial` makes them, repeated for M members.
    make_norm : callable
        Makes the normalization layers.
    """

    def __init__(self, architecture: Architecture, parameters: Parameters, make_norm: MakeNorm) -> None:
        self.architecture = architecture
        self.parameters = parameters
        self.norms: list[Norm] = []
        self._layers: list[_Layer] = []
        for i, channels in enumerate(architecture.hidden):
            if i and architecture.convolutional:
                self._layers.append(_Blocks(SIDE >> (i - 1), 2))
            self.norms.append(make_norm(channels, architecture.spatial(i)))
            # A bias before a batch norm does nothing, and one after another norm is the same as that one's.
            self._layers += [_Linear(f"linear{i}", biased=False), _Normalized(f"norm{i}", self.norms[-1])]
            self._layers.append(ACTIVATIONS[architecture.activation]())
        if architecture.convolutional:
            side = SIDE >> (len(architecture.hidden) - 1)
            self._layers.append(_Blocks(side, side))
        self._layers.append(_Linear("output", biased=True))

    def logits(self, images: Array, *, training: bool = False) -> Array:
        """The outputs for images (N, 8, 8): (M, 10, N)."""
        rows = self.architecture.input(images)
        for layer in self._layers:
            rows = layer.forward(rows, self.parameters, training=training)
        return rows

    def gradients(self, images: Array, labels: NDArray[np.int64]) -> tuple[Array, Parameters]:
        """Mean cross-entropy of a training batch, (M,), and its gradients by the parameters."""
        loss, dy = cross_entropy(self.logits(images, training=True), labels)
        gradients: Parameters = {}
        for layer in reversed(self._layers):
            dy, found = layer.backward(dy, self.parameters)
            gradients |= found
        return loss, gradients

    def step(self, images: Array, labels: NDArray[np.int64], rate: float) -> Array:
        """One step of gradient descent; returns the loss before it, (M,)."""
        loss, gradients = self.gradients(images, labels)
        for name, gradient in gradients.items():
            self.parameters[name] = self.parameters[name] - rate * gradient
        return loss


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Mean of -log softmax(logits)[label] for each member, and its gradient by the logits (M, 10, N)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    right = np.arange(CLASSES)[:, None] == labels
    return -np.where(right, logs, 0.0).sum(axis=(1, 2)) / len(labels), (np.exp(logs) - right) / len(labels)


def accuracy(logits: Array, labels: NDArray[np.int64]) -> Array:
    """Share of the samples whose largest logit is their label's, (M,)."""
    return np.asarray((logits.argmax(axis=1) == labels).mean(axis=1))


def batches(size: int, samples: int, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
    """Indices of one pass over the samples in random order, in batches of equal size; the rest is left out."""
    order = rng.permutation(samples)
    return [order[start : start + size] for start in range(0, samples - size + 1, size)]
