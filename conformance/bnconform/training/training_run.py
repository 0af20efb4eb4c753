"""A training run: which network, data and settings, and what is noted along the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from bnconform.cases.digits import held_out, to_train_on
from bnconform.training.network import (
    CONVOLUTIONAL,
    DENSE,
    Architecture,
    Array,
    MakeNorm,
    Network,
    Parameters,
    batches,
    initial,
)
from bnconform.training.norms import Call, ImplementationNorm, Settings
from bnconform_adapters.claims import Claims

Notes: TypeAlias = dict[str, Array]
"""Noted values of all members, (M, ...), by name."""

STEPS = 6
RATE = 0.1
PROBED = 16
"""Held-out images that are put to the network in inference mode after every step."""


@dataclass(frozen=True)
class Kind:
    """A network, and how many samples it is trained on at a time."""

    architecture: Architecture
    batch: int


KINDS = {
    "dense": Kind(Architecture(DENSE.hidden, activation="softplus"), 24),
    "convolutional": Kind(Architecture(CONVOLUTIONAL.hidden, convolutional=True, activation="softplus"), 4),
}


@dataclass(frozen=True)
class TrainingRun:
    """A training run that can be run again: equal ones start from equal values and see equal batches.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    salt : int
        Tells training runs of equal choices apart.
    settings : Settings
    """

    kind: str
    salt: int
    settings: Settings = field(default_factory=Settings)

    @property
    def architecture(self) -> Architecture:
        """The network."""
        return KINDS[self.kind].architecture

    def swapped(self) -> TrainingRun:
        """The run of a layer that takes momentum in the other sense, or half of it if both senses are alike."""
        momentum = self.settings.momentum
        other = 1 - momentum if momentum != 0.5 else momentum / 2
        return replace(self, settings=replace(self.settings, momentum=other))

    def norm(self, call: Call, channels: int, spatial: tuple[int, ...], claims: Claims) -> ImplementationNorm:
        """An implementation's layer with the training run's settings."""
        return ImplementationNorm(call, channels, spatial, self.settings, claims)

    def start(self) -> Parameters:
        """Initial values of one member; weight and bias of the batch norms are drawn too, so that they show."""
        rng = np.random.default_rng((self.salt, 0))
        parameters = initial(self.architecture, rng)
        for name, value in parameters.items():
            if name.startswith("norm"):
                parameters[name] = value + rng.uniform(-0.5, 0.5, value.shape)
        return parameters

    def run(self, make_norm: MakeNorm, members: int = 1) -> Notes:
        """Train, and note loss, parameters, running statistics and inference outputs along the way."""
        data, probes, kind = to_train_on(), held_out()[:PROBED].images, KINDS[self.kind]
        start = {name: np.repeat(value, members, axis=0) for name, value in self.start().items()}
        network, notes = Network(kind.architecture, start, make_norm), Notes()
        order = batches(kind.batch, len(data), np.random.default_rng((self.salt, 1)))
        with np.errstate(all="ignore"):  # a faulty layer may give anything
            for step, index in enumerate(order[:STEPS], 1):
                notes[f"loss of step {step}"] = network.step(data.images[index], data.labels[index], RATE)
                for i, norm in enumerate(network.norms):
                    state: Any = norm
                    for name in ("running_mean", "running_var"):
                        value = np.asarray(getattr(state, name))
                        notes[f"{name} of layer {i} after step {step}"] = value.reshape(members, -1)
                notes |= {f"{name} after step {step}": value for name, value in network.parameters.items()}
                notes[f"inference outputs after step {step}"] = network.logits(probes)
        return notes


def inference_only(notes: Mapping[str, Any]) -> list[str]:
    """Names of what inference gave."""
    return [name for name in notes if name.startswith("inference")]
