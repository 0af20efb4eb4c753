"""Shift of the inputs of a layer while earlier layers learn: their distribution, and the layer's gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform.cases.digits import to_train_on
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import Effort, Subject, Trial, alternative, statistics_kept
from bnconform.training.network import Architecture, Array, Network

DEEP = Architecture((32, 32, 32))
LAST = len(DEEP.hidden) - 1
RATE = 0.125
EVERY = 6
PROBED = 256


def shift(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """Shift of the last hidden layer's activations over training, and of its gradient within a step."""
    trial = Trial(DEEP, effort.seeds, effort.steps, 32, rates=(RATE,))
    moved, turned, stray, facts = [], [], [], []
    found = {s.name: _watch(trial, s) for s in (*subjects, alternative("no normalization"))}
    for name, (at, shifts, angles, drifts) in found.items():
        moved.append(line(name, name, at, shifts))
        turned.append(line(name, name, at, angles))
        stray.append(line(name, name, at, drifts))
    plain = found["no normalization"]
    for subject in subjects:
        _, shifts, angles, drifts = found[subject.name]
        for what, own, other in (
            ("shift of the distribution", shifts, plain[1]),
            ("turn of the gradient", angles, plain[2]),
            ("distance of the gradient", drifts, plain[3]),
        ):
            ratio = np.log2(own.mean(axis=0) / other.mean(axis=0))
            told = f"log2 of the {what}, over that without normalization"
            facts.append(Fact(subject.name, told, Interval.of(ratio), "below 0"))
    return Experiment(
        "shift",
        "Shift of layer inputs over training",
        "Batch norm reduces internal covariate shift: the distribution of a layer's inputs stays steady while the "
        "layers before it change (Ioffe and Szegedy 2015, sections 2 and 4.1). That this is why it helps is disputed: "
        "Santurkar et al. (2018) find the shift, as they measure it, no smaller with batch norm, and a smoother loss "
        "instead.",
        f"The network 64-32-32-32-10 at rate {RATE:g}. Distribution: of the last hidden layer's units over {PROBED} "
        f"fixed digits in training mode, every {EVERY} steps the change of the mean in standard deviations plus that "
        "of the standard deviation's logarithm, mean over units. Gradient: that of the last hidden layer before and "
        "after the layers below it take their step, on the same batch (Santurkar et al. 2018, definition 2.1): the "
        "angle between the two, and their distance over the length of the first.",
        "A steadier distribution at the place where batch norm makes it so is no surprise: mean and variance there are "
        "what weight and bias say. The gradient's turn is the disputed part; one rate and one depth decide nothing.",
        ["Ioffe and Szegedy 2015", "Santurkar et al. 2018", "Bjorck et al. 2018"],
        [
            Panel("last hidden layer's activations", "steps", f"shift in {EVERY} steps", moved, y_log=True),
            Panel("last hidden layer's gradient", "steps", "turn within a step, degrees", turned),
            Panel("last hidden layer's gradient", "steps", "distance within a step, relative", stray, y_log=True),
        ],
        facts,
    )


def _watch(trial: Trial, subject: Subject) -> tuple[list[int], Array, Array, Array]:
    """Steps, and for each step and seed the shift, the angle in degrees, and the relative distance."""
    probes, batches = to_train_on()[:PROBED].images, list(trial.batches())
    network = trial.network(subject)
    at, shifts, angles, drifts = [], [], [], []
    before = _moments(network, probes)
    for step, batch in enumerate(batches, 1):
        loss_gradients = network.gradients(batch.images, batch.labels)[1]
        watched = step % EVERY == 0
        if watched:
            own = loss_gradients[f"linear{LAST}.weight"]
            below = {name: value for name, value in loss_gradients.items() if _is_below(name)}
            network.move(below, RATE)
            with statistics_kept(network):
                moved = network.gradients(batch.images, batch.labels)[1][f"linear{LAST}.weight"]
            angles.append(_angle(own, moved))
            drifts.append(np.linalg.norm(moved - own, axis=(1, 2)) / np.linalg.norm(own, axis=(1, 2)))
            loss_gradients = {name: value for name, value in loss_gradients.items() if name not in below}
        network.move(loss_gradients, RATE)
        if watched:
            now = _moments(network, probes)
            at.append(step)
            change = np.abs(now[0] - before[0]) / before[1] + np.abs(np.log(now[1] / before[1]))
            shifts.append(change.mean(axis=1))
            before = now
    return at, np.stack(shifts), np.stack(angles), np.stack(drifts)


def _is_below(name: str) -> bool:
    """Return True if a parameter belongs to a layer before the last hidden one."""
    return any(name.startswith((f"linear{i}.", f"norm{i}.")) for i in range(LAST))


def _moments(network: Network, probes: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the last hidden layer's activations before their nonlinearity: (M, C)."""
    with statistics_kept(network):
        rows = network.norm_output(probes, LAST, training=True)
    return rows.mean(axis=2), np.maximum(rows.std(axis=2), np.finfo(np.float32).tiny)


def _angle(a: Array, b: Array) -> Array:
    """The angle between matrices (M, out, in), in degrees."""
    lengths = np.linalg.norm(a, axis=(1, 2)) * np.linalg.norm(b, axis=(1, 2))
    return np.asarray(np.degrees(np.arccos(np.clip((a * b).sum(axis=(1, 2)) / lengths, -1, 1))))
