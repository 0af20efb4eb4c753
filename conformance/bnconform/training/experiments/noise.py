"""Regularising noise: how much a sample's output depends on its batch, and what that does to held-out accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bnconform.cases.digits import held_out, to_train_on
from bnconform.training.alternatives import InGroups
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import (
    Effort,
    Subject,
    Trial,
    alternative,
    use_population,
)
from bnconform.training.network import Architecture, Array, MakeNorm, Network, Norm
from bnconform.training.norms import Settings

WIDE = Architecture((64, 64))
SIZES = (4, 8, 16, 32, 64)
DRAWS = 8
PROBED = 8
FEW = 128
GROUPS = (4, 8, 16, 32, 128)
RATE = 0.25


def noise(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """The noise of batch statistics, and its effect if nothing else differs."""
    trained = Trial(WIDE, effort.seeds, effort.steps, 32)
    few = Trial(WIDE, effort.seeds, effort.steps, FEW, rates=(RATE,), samples=FEW)
    spreads, accuracies, losses, facts = [], [], [], []
    sizes, groups = effort.some(SIZES), effort.some(GROUPS)
    for subject in subjects:
        found = _spread(trained, subject, sizes)
        spreads.append(line(subject.name, subject.name, sizes, found))
        slope = np.log2(found[0] / found[-1]) / np.log2(sizes[-1] / sizes[0])
        facts.append(Fact(subject.name, "exponent by which the spread falls with the batch size", Interval.of(slope)))
        reached, lost = zip(*(_in_groups(few, subject, size) for size in groups), strict=True)
        accuracies.append(line(subject.name, subject.name, groups, reached))
        losses.append(line(subject.name, subject.name, groups, lost))
        inner = [i for i, size in enumerate(groups) if size < FEW]
        best = max(inner, key=lambda i: float(reached[i].mean()))
        facts += [
            Fact(subject.name, f"held-out accuracy in groups of {groups[best]}", Interval.of(reached[best])),
            Fact(
                subject.name,
                f"more than with the statistics of all {groups[-1]}, which have no noise",
                Interval.of(reached[best] - reached[-1]),
                "above 0",
            ),
        ]
    plain, plain_lost = _in_groups(few, alternative("no normalization"), groups[-1])
    accuracies.append(line("no normalization", "no normalization", groups, [plain] * len(groups)))
    losses.append(line("no normalization", "no normalization", groups, [plain_lost] * len(groups)))
    return Experiment(
        "noise",
        "Noise of the batch statistics as a regularizer",
        "A training sample is seen together with others at random, and its output is no longer deterministic, which "
        "regularizes (Ioffe and Szegedy 2015, section 3.4); the noise acts as a penalty on weight (Luo et al. 2019).",
        f"Spread: after training, {PROBED} held-out digits go through in training mode, each in {DRAWS} random "
        "batches; the standard deviation of their outputs over batches, over that from digit to digit. Effect: "
        f"networks learn {FEW} digits, always all in one step of gradient descent, but the batch norms see them in "
        "groups (Hoffer et al. 2017), so that nothing but the noise differs; inference uses population statistics.",
        "The group size with the best accuracy is chosen by the same accuracies that are reported, which favours it "
        "slightly. Little data and a short training; how much noise is best depends on both, and other regularizers do "
        "the same.",
        ["Ioffe and Szegedy 2015", "Luo et al. 2019", "Hoffer, Hubara and Soudry 2017"],
        [
            Panel(
                "spread of an output over batches", "batch size", "share of the spread", spreads, x_log=True, y_log=True
            ),
            Panel(
                f"{FEW} training digits", "samples that share statistics", "held-out accuracy", accuracies, x_log=True
            ),
            Panel(
                f"{FEW} training digits",
                "samples that share statistics",
                "training loss",
                losses,
                x_log=True,
                y_log=True,
            ),
        ],
        facts,
    )


def _spread(trial: Trial, subject: Subject, sizes: Sequence[int]) -> Array:
    """Standard deviation of the outputs over batches, divided by that over digits: (sizes, seeds)."""
    network, _ = trial.train(subject)
    probes, others, rng = held_out()[:PROBED].images, to_train_on().images, np.random.default_rng(3)
    between = network.logits(probes).std(axis=2).mean(axis=1)
    found = []
    for size in sizes:
        drawn = []
        for _ in range(DRAWS):
            # One pass for all probes: every probe is the first sample of its own batch, which is a group of samples.
            company = others[rng.integers(0, len(others), (PROBED, size - 1))]
            images = np.concatenate([probes[:, None], company], axis=1).reshape(-1, 8, 8)
            grouped = Network(trial.architecture, network.parameters, _grouped(subject, trial, PROBED))
            drawn.append(grouped.logits(images, training=True)[..., ::size])
        found.append(np.stack(drawn).std(axis=0).mean(axis=(1, 2)) / between)
    return np.stack(found)


def _grouped(subject: Subject, trial: Trial, groups: int) -> MakeNorm:
    """Maker of layers that split a batch into groups."""
    inner, alone = (subject.make(trial.members, settings) for settings in (Settings(), Settings()))

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        if not subject.learns_statistics:
            return inner(channels, spatial)
        return InGroups(inner(channels * groups, spatial), alone(channels, spatial), groups)

    return make_norm


def _in_groups(trial: Trial, subject: Subject, size: int) -> tuple[Array, Array]:
    """Held-out accuracy and the last training loss of networks whose batch norms use groups of this size: (seeds,)."""
    makes = replace(subject, make=lambda members, settings: _grouped(subject, trial, FEW // size))
    network, losses = trial.train(makes)
    use_population(network, next(iter(trial.batches())).images)
    return trial.held_out_accuracy(network)[:, 0], losses[-1, :, 0]
