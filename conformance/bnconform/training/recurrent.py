"""A recurrent network that reads an image row by row, with a normalization inside the recurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.digits import CLASSES, SIDE
from bnconform.training.network import Array, MakeNorm, Norm, Parameters, cross_entropy


def initial(hidden: int, rng: np.random.Generator) -> Parameters:
    """Parameters of one member: normal input weights, an orthogonal recurrent matrix, weight 1 and bias 0."""
    q, _ = np.linalg.qr(rng.standard_normal((hidden, hidden)))
    return {
        "input.weight": rng.standard_normal((1, hidden, SIDE)) / SIDE**0.5,
        "recurrent.weight": q[None],
        "norm.weight": np.ones((1, hidden)),
        "norm.bias": np.zeros((1, hidden)),
        "output.weight": rng.standard_normal((1, CLASSES, hidden)) / hidden**0.5,
        "output.bias": np.zeros((1, CLASSES)),
    }


class Recurrent:
    """h_t = tanh(norm(W x_t + U h_{t-1})) over the eight rows of an image; the last h gives the outputs.

    Weight and bias of the normalization are one for all steps (Laurent et al. 2016). Its running statistics are too, or
    each step has its own (Cooijmans et al. 2017).

    Parameters
    ----------
    parameters : dict of str to float64 arrays, shapes (M, ...)
        As :func:`initial` makes them, for M members.
    make_norm : callable
        Makes the normalization, once for every step.
    shared_statistics : bool
        Whether all steps move and use one set of running statistics.
    """

    def __init__(self, parameters: Parameters, make_norm: MakeNorm, *, shared_statistics: bool) -> None:
        self.parameters = parameters
        hidden = parameters["norm.weight"].shape[1]
        self.norms: list[Norm] = [make_norm(hidden, ()) for _ in range(SIDE)]
        self._shared = shared_statistics and hasattr(self.norms[0], "running_mean")

    def logits(self, images: Array, *, training: bool = False) -> Array:
        """The outputs for images (N, 8, 8) or (M, N, 8, 8): (M, 10, N)."""
        p, own = self.parameters, images if images.ndim == 4 else images[None]
        members, samples = len(p["output.bias"]), own.shape[1]
        state = np.zeros((members, p["norm.weight"].shape[1], samples))
        self._rows, self._states = [own[:, :, t].swapaxes(1, 2) / 16 for t in range(SIDE)], [state]
        for t, norm in enumerate(self.norms):
            summed = p["input.weight"] @ self._rows[t] + p["recurrent.weight"] @ self._states[t]
            if self._shared:
                _hand_on(self.norms[t - 1], norm)
            y = norm.forward(summed, p["norm.weight"], p["norm.bias"], training=training)
            self._states.append(np.tanh(y))
        return p["output.weight"] @ self._states[-1] + p["output.bias"][..., None]

    def gradients(self, images: Array, labels: NDArray[np.int64]) -> tuple[Array, Parameters]:
        """Mean cross-entropy of a training batch, (M,), and its gradients, by backpropagation through time."""
        p = self.parameters
        loss, dy = cross_entropy(self.logits(images, training=True), labels)
        found = {name: np.zeros_like(value) for name, value in p.items()}
        found["output.weight"], found["output.bias"] = dy @ self._states[-1].swapaxes(1, 2), dy.sum(axis=2)
        state = p["output.weight"].swapaxes(1, 2) @ dy
        for t in reversed(range(SIDE)):
            dx, dweight, dbias = self.norms[t].backward(state * (1 - self._states[t + 1] ** 2))
            found["norm.weight"] += dweight
            found["norm.bias"] += dbias
            found["input.weight"] += dx @ self._rows[t].swapaxes(1, 2)
            found["recurrent.weight"] += dx @ self._states[t].swapaxes(1, 2)
            state = p["recurrent.weight"].swapaxes(1, 2) @ dx
        return loss, found

    def step(self, images: Array, labels: NDArray[np.int64], rate: float) -> Array:
        """One step of gradient descent; returns the loss before it, (M,)."""
        loss, gradients = self.gradients(images, labels)
        for name, gradient in gradients.items():
            self.parameters[name] = self.parameters[name] - rate * gradient
        return loss


def _hand_on(giver: Any, taker: Any) -> None:
    """Give one step's layer the running statistics of the one before; the first gets those that the last batch left."""
    taker.running_mean, taker.running_var = giver.running_mean, giver.running_var
