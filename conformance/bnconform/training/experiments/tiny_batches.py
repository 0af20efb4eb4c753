"""Batch norm where batches are tiny, with layer and instance normalization beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform.cases.digits import to_train_on
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import Effort, Subject, Trial, alternative, use_population
from bnconform.training.network import CONVOLUTIONAL, Architecture, Array

SIZES = (2, 4, 8, 16, 32)
SAMPLES_A_STEP = 12
"""Number of samples that every batch size sees, for each step of the effort."""
RATE = 0.05
POPULATION = 512
"""Number of digits that represent the data set."""
KINDS = (
    ("fully connected", Architecture((32, 32)), ("no normalization", "layer norm")),
    ("convolutional", CONVOLUTIONAL, ("no normalization", "layer norm", "instance norm")),
)


def tiny_batches(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """Held-out accuracy against the batch size, for as many samples seen."""
    seen = SAMPLES_A_STEP * effort.steps
    panels, facts = [], []
    for kind, architecture, others in KINDS:
        of = _of_kind(kind, architecture, [*subjects, *map(alternative, others)], effort, seen)
        panels += of[0]
        facts += of[1]
    return Experiment(
        "tiny",
        "Where it is questionable: tiny batches",
        "With few samples the batch's statistics are poor estimates, and accuracy falls (Wu and He 2018); "
        "normalizations of each sample by itself do not depend on the batch (Ba et al. 2016; Ulyanov et al. 2016).",
        f"A fully connected and a small convolutional network see {seen} digits in batches of each size, rate "
        f"{RATE:g}. In a feature map 64 and 16 positions a sample count, too. Inference uses moving averages; the "
        "second chart of either network has population statistics instead.",
        "Smaller batches take more steps at one rate, so accuracy also grows with their number, for all alike; what is "
        "compared is therefore the loss beside that of layer norm.",
        ["Wu and He 2018", "Ba, Kiros and Hinton 2016", "Ulyanov, Vedaldi and Lempitsky 2016"],
        panels,
        facts,
    )


def _of_kind(
    kind: str, architecture: Architecture, everyone: Sequence[Subject], effort: Effort, seen: int
) -> tuple[list[Panel], list[Fact]]:
    """Charts and numbers of one network."""
    sizes = effort.some(SIZES)
    moving, population = {}, {}
    for subject in everyone:
        found = [_train(subject, architecture, effort, size, seen) for size in sizes]
        moving[subject.name] = np.stack([by_averages for by_averages, _ in found])
        if subject.learns_statistics:
            population[subject.name] = np.stack([by_population for _, by_population in found])
    charts = [
        Panel(f"{kind}, {told}", "batch size", "held-out accuracy", [line(n, n, sizes, of[n]) for n in of], x_log=True)
        for told, of in (("moving averages", moving), ("population statistics", population))
    ]
    facts, layer = [], moving["layer norm"]
    for name, by_population in population.items():
        own = moving[name]
        more = own[-1] - own[0] - (layer[-1] - layer[0])
        told = (
            f"{kind}: accuracy lost from batches of {sizes[-1]} to batches of {sizes[0]}, beyond what layer norm loses"
        )
        facts.append(Fact(name, told, Interval.of(more), "above 0"))
        gain = Interval.of(by_population[0] - own[0])
        facts.append(Fact(name, f"{kind}, batches of {sizes[0]}: more accuracy by population statistics", gain))
    return charts, facts


def _train(subject: Subject, architecture: Architecture, effort: Effort, size: int, seen: int) -> tuple[Array, Array]:
    """Held-out accuracies (seeds,), with moving averages and with population statistics."""
    trial = Trial(architecture, effort.seeds, seen // size, size, rates=(RATE,))
    network, _ = trial.train(subject)
    moving = trial.held_out_accuracy(network)[:, 0]
    use_population(network, to_train_on().images[:POPULATION])
    return moving, trial.held_out_accuracy(network)[:, 0]
