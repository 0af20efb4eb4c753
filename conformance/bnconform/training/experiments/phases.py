"""Training and testing: inference with moving averages against inference with population statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bnconform.cases.digits import to_train_on
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import Effort, Subject, Trial, statistics_kept, use_population
from bnconform.training.network import Architecture, Array, Network
from bnconform.training.norms import Settings

NETWORK = Architecture((32, 32))
MOMENTA = (0.1, 0.01)
PLACES = (5, 10, 15, 20, 30, 40, 60, 90, 120)


def phases(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """Held-out accuracy with both kinds of statistics during a training."""
    panels, facts = [], []
    places = [place for place in PLACES if place <= effort.steps]
    for momentum in MOMENTA:
        trial = Trial(NETWORK, effort.seeds, effort.steps, 32, settings=Settings(momentum=momentum))
        lines = []
        for subject in subjects:
            moving, whole = _watch(trial, subject, places)
            lines.append(line(f"{subject.name}, moving averages", subject.name, places, moving))
            lines.append(line(f"{subject.name}, population", subject.name, places, whole))
            first, last = (Interval.of(whole[i] - moving[i]) for i in (0, -1))
            told = f"momentum {momentum:g}: more accuracy by population statistics"
            facts.append(Fact(subject.name, f"{told}, after {places[0]} steps", first, "above 0"))
            facts.append(Fact(subject.name, f"{told}, after {places[-1]} steps", last))
        panels.append(Panel(f"momentum {momentum:g}", "steps", "held-out accuracy", lines))
    return Experiment(
        "phases",
        "Testing with moving averages or with population statistics",
        "Inference uses the statistics of the entire data set; moving averages track them during training (Ioffe and "
        "Szegedy 2015, section 3.1 and Algorithm 2). Averages lag behind a network that moves (Wu and Johnson 2021).",
        "The network 64-32-32-10 is put to the held-out digits along its training: with its moving averages, and with "
        "the statistics of all training digits, one layer after another. Momentum weighs the new batch.",
        "A training long enough for the averages to settle, at rates that decay, leaves little of the difference.",
        ["Ioffe and Szegedy 2015", "Wu and Johnson 2021"],
        panels,
        facts,
    )


def _watch(trial: Trial, subject: Subject, places: Sequence[int]) -> tuple[Array, Array]:
    """Accuracies (places, seeds) with moving averages and with population statistics."""
    moving: list[Any] = []
    whole: list[Any] = []

    def watch(step: int, network: Network) -> None:
        if step in places:
            moving.append(trial.held_out_accuracy(network)[:, 0])
            with statistics_kept(network):
                use_population(network, to_train_on().images)
                whole.append(trial.held_out_accuracy(network)[:, 0])

    trial.train(subject, watch)
    return np.stack(moving), np.stack(whole)
