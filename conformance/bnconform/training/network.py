"""A small feed-forward network in float64 NumPy, with normalization layers that the caller provides.

Everything has a leading axis of members: M networks of one architecture run side by side on the same batch, each with
its own parameters. Activations are (M, C, n) with n = N times the positions of a feature map, so that every channel is
a row. Gradients are written by hand; the tests compare them with finite differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.digits import CLASSES, PIXELS, SIDE

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
    first: bool = False
    """True if no layer before it needs a gradient; dx is then 0."""

    def forward(self, rows: Array, parameters: Mapping[str, Array], *, training: bool) -> Array:
        self._rows = rows
        y = parameters[f"{self.name}.weight"] @ rows
        return y + parameters[f"{self.name}.bias"][..., None] if self.biased else y

    def backward(self, dy: Array, parameters: Mapping[str, Array]) -> tuple[Array, Parameters]:
        gradients = {f"{self.name}.weight": dy @ self._rows.swapaxes(1, 2)}
        if self.biased:
            gradients[f"{self.name}.bias"] = dy.sum(axis=2)
        if self.first:
            return np.zeros(()), gradients
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
    """Images (M, N, 8, 8) as a fully connected network takes them: (M, 64, N), from 0 to 1."""
    return np.ascontiguousarray(images.reshape(*images.shape[:2], PIXELS).swapaxes(1, 2)) / 16


def patches(images: Array) -> Array:
    """Images (M, N, 8, 8) as a 3 x 3 convolution with padding takes them: (M, 9, N * 64), from 0 to 1."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1))) / 16
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.ascontiguousarray(windows.reshape(len(images), -1, 9).swapaxes(1, 2))


@dataclass(frozen=True)
class Architecture:
    """The architecture of a network.

    Attributes
    ----------
    hidden : tuple of int
        Channels of the hidden layers.
    convolutional : bool
        True if the first hidden layer is a 3 x 3 convolution and each further one a 2 x 2 convolution of stride 2;
        otherwise all layers are fully connected.
    activation : str
        One of :data:`ACTIVATIONS`.
    """

    hidden: tuple[int, ...]
    convolutional: bool = False
    activation: str = "relu"

    def input(self, images: Array) -> Array:
        """Images as the first layer takes them, from (N, 8, 8), or (M, N, 8, 8) with images for each member."""
        own = images if images.ndim == 4 else images[None]
        return patches(own) if self.convolutional else pixels(own)

    def fan_in(self) -> list[int]:
        """Number of summands of every linear layer; the output layer is last."""
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
            self._layers += [_Linear(f"linear{i}", biased=False, first=i == 0), _Normalized(f"norm{i}", self.norms[-1])]
            self._layers.append(ACTIVATIONS[architecture.activation]())
        if architecture.convolutional:
            side = SIDE >> (len(architecture.hidden) - 1)
            self._layers.append(_Blocks(side, side))
        self._layers.append(_Linear("output", biased=True))

    def logits(self, images: Array, *, training: bool = False) -> Array:
        """The outputs for images (N, 8, 8) or (M, N, 8, 8): (M, 10, N)."""
        rows = self.architecture.input(images)
        for layer in self._layers:
            rows = layer.forward(rows, self.parameters, training=training)
        return rows

    def norm_input(self, images: Array, number: int, *, training: bool = False) -> Array:
        """The input of a normalization layer: (M, C, n)."""
        return self._up_to(images, f"norm{number}", training=training)[0]

    def norm_output(self, images: Array, number: int, *, training: bool = False) -> Array:
        """The output of a normalization layer: (M, C, n)."""
        rows, layer = self._up_to(images, f"norm{number}", training=training)
        return layer.forward(rows, self.parameters, training=training)

    def _up_to(self, images: Array, name: str, *, training: bool) -> tuple[Array, _Layer]:
        rows = self.architecture.input(images)
        for layer in self._layers:
            if isinstance(layer, _Normalized) and layer.name == name:
                return rows, layer
            rows = layer.forward(rows, self.parameters, training=training)
        raise AssertionError(f"no layer is called {name}")

    def gradients(self, images: Array, labels: NDArray[np.int64]) -> tuple[Array, Parameters]:
        """Mean cross-entropy of a training batch, (M,), and its gradients by the parameters.

        Images are (N, 8, 8) with labels (N,), or (M, N, 8, 8) with (M, N).
        """
        loss, dy = cross_entropy(self.logits(images, training=True), labels)
        gradients: Parameters = {}
        for layer in reversed(self._layers):
            dy, found = layer.backward(dy, self.parameters)
            gradients |= found
        return loss, gradients

    def step(self, images: Array, labels: NDArray[np.int64], rate: float | Array) -> Array:
        """One step of gradient descent, at one rate or at each member's own, (M,); returns the loss before it, (M,)."""
        loss, gradients = self.gradients(images, labels)
        self.move(gradients, rate)
        return loss

    def move(self, gradients: Parameters, rate: float | Array) -> None:
        """Move the parameters that have a gradient against it."""
        for name, gradient in gradients.items():
            each = np.reshape(rate, (-1, *(1 for _ in gradient.shape[1:])))
            self.parameters[name] = self.parameters[name] - each * gradient


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Mean of -log softmax(logits)[label] for each member, and its gradient by the logits (M, 10, N)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    right, samples = np.arange(CLASSES)[:, None] == labels[..., None, :], labels.shape[-1]
    return -np.where(right, logs, 0.0).sum(axis=(1, 2)) / samples, (np.exp(logs) - right) / samples


def accuracy(logits: Array, labels: NDArray[np.int64]) -> Array:
    """Share of the samples whose largest logit is their label's, (M,)."""
    return np.asarray((logits.argmax(axis=1) == labels).mean(axis=1))


def batches(size: int, samples: int, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
    """Indices of one pass over the samples in random order, in batches of equal size; the rest is left out."""
    order = rng.permutation(samples)
    return [order[start : start + size] for start in range(0, samples - size + 1, size)]
