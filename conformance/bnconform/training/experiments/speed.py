"""Convergence, the range of learning rates that train, and tolerance of the initial scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import Effort, Subject, Trial, alternative
from bnconform.training.network import CONVOLUTIONAL, Architecture, Array

DEEP = Architecture((32, 32, 32))
RATES = tuple(2.0**k for k in range(-8, 6))
SCALES = tuple(2.0**k for k in range(-5, 6))
ORDINARY_RATE = 2.0**-3
LEARNED = 0.5
"""A training loss, as the mean of the last ten steps, that counts as learned; log(10) = 2.3 is chance."""
TRAINS = 0.75
"""Smallest held-out accuracy of a training that counts as successful."""
WINDOW = 10
BATCH = 32


def speed(subjects: Sequence[Subject], effort: Effort) -> list[Experiment]:
    """Convergence at one learning rate and at the best of each, and the range of rates that train."""
    rates = RATES[:: effort.fine]
    dense = Trial(DEEP, effort.seeds, effort.steps, BATCH, rates)
    maps = Trial(
        CONVOLUTIONAL, effort.seeds, effort.steps, BATCH, (ORDINARY_RATE / 4, ORDINARY_RATE, 4 * ORDINARY_RATE)
    )
    training_runs: dict[str, dict[str, Array]] = {"fully connected": {}, "convolutional": {}}
    reached = {}
    for subject in (*subjects, alternative("no normalization")):
        network, training_runs["fully connected"][subject.name] = dense.train(subject)
        reached[subject.name] = dense.held_out_accuracy(network)
        training_runs["convolutional"][subject.name] = maps.train(subject)[1]
    panels, facts = [], []
    for (kind, of), trial in zip(training_runs.items(), (dense, maps), strict=True):
        more = _convergence(kind, of, trial)
        panels += more[0]
        facts += more[1]
    return [
        Experiment(
            "convergence",
            "Convergence with and without the layer",
            "Batch norm reaches a given accuracy in many times fewer steps (Ioffe and Szegedy 2015, section 4.2).",
            f"Networks 64-32-32-32-10 and a small convolutional one learn digits by plain gradient descent, "
            f"{effort.seeds} seeds. Learned is a mean training loss of {LEARNED:g} over {WINDOW} steps; a network that "
            f"never gets there counts as if it did at the last of the {effort.steps} steps.",
            "Steps are not time: a normalized step costs more. Three hidden layers are no ImageNet. Momentum, decay "
            "and careful initialization narrow the gap; with the best rate of each, the advantage of larger rates is "
            "part of what is measured.",
            ["Ioffe and Szegedy 2015", "Bjorck et al. 2018", "He et al. 2015"],
            panels,
            facts,
        ),
        _tolerance(
            Experiment(
                "rates",
                "Range of learning rates that train",
                "Batch norm allows much higher learning rates (Ioffe and Szegedy 2015, section 3.3), and that is most "
                "of its benefit (Bjorck et al. 2018).",
                f"The network 64-32-32-32-10 after {effort.steps} steps at each rate; what trains has a held-out "
                f"accuracy of {TRAINS:g}.",
                "That larger rates generalize better is not tested here; nor is what an adaptive optimizer would make "
                "of it.",
                ["Ioffe and Szegedy 2015", "Bjorck et al. 2018"],
            ),
            f"after {effort.steps} steps",
            "learning rate",
            rates,
            reached,
        ),
    ]


def _convergence(kind: str, training_runs: Mapping[str, Array], trial: Trial) -> tuple[list[Panel], list[Fact]]:
    """Charts of the losses, and the number of steps relative to training without normalization."""
    ordinary = int(np.argmin(np.abs(np.log2(trial.rates) - np.log2(ORDINARY_RATE))))
    same, best, steps = [], [], {}
    for name, losses in training_runs.items():
        smooth = _smooth(losses)
        lasts = np.where(np.isfinite(smooth[-1]), smooth[-1], np.inf).mean(axis=0)
        fittest = int(np.argmin(lasts))
        at = range(WINDOW, trial.steps + 1)
        same.append(line(name, name, at, smooth[..., ordinary]))
        best.append(line(f"{name} at {trial.rates[fittest]:g}", name, at, smooth[..., fittest]))
        steps[name] = _steps_to_learn(smooth[..., ordinary]), _steps_to_learn(smooth[..., fittest])
    rate = trial.rates[ordinary]
    panels = [
        Panel(f"{kind}, learning rate {rate:g}", "steps", "training loss", same, y_log=True),
        Panel(f"{kind}, the best rate of each", "steps", "training loss", best, y_log=True),
    ]
    plain, facts = steps.pop("no normalization"), []
    for name, own in steps.items():
        for which, told in enumerate((f"at rate {rate:g}", "each at its best rate")):
            what = f"{kind}, {told}: log2 of how many times the steps it takes without normalization"
            facts.append(Fact(name, what, Interval.of(np.log2(plain[which] / own[which])), "above 0"))
    return panels, facts


def _tolerance(
    experiment: Experiment, title: str, label: str, values: Sequence[float], reached: Mapping[str, Array]
) -> Experiment:
    """The experiment with accuracies (seeds, values) filled in, and the octaves of the values that train."""
    lines = [line(name, name, values, accuracies.T) for name, accuracies in reached.items()]
    octave = float(np.log2(values[1] / values[0]))
    wide = {name: (accuracies >= TRAINS).sum(axis=1) * octave for name, accuracies in reached.items()}
    facts = [Fact(name, f"octaves of the {label} that train", Interval.of(octaves)) for name, octaves in wide.items()]
    plain = wide.pop("no normalization")
    for name, octaves in wide.items():
        more = Interval.of(octaves - plain)
        facts.append(Fact(name, "octaves more than without normalization", more, "above 0"))
    return replace(experiment, panels=[Panel(title, label, "held-out accuracy", lines, x_log=True)], facts=facts)


def initial_scale(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """Tolerance of the initial scale."""
    scales = SCALES[:: effort.fine]
    trial = Trial(DEEP, effort.seeds, effort.steps, BATCH, rates=(ORDINARY_RATE,), scales=scales)
    reached = {
        subject.name: trial.held_out_accuracy(trial.train(subject)[0])
        for subject in (*subjects, alternative("no normalization"))
    }
    return _tolerance(
        Experiment(
            "scale",
            "Tolerance of the initial scale",
            "BN(a W u) = BN(W u): the scale of the weights does not matter (Ioffe and Szegedy 2015, section 3.3).",
            f"The hidden layers' initial weights (He et al. 2015) times each factor, learning rate {ORDINARY_RATE:g}, "
            f"{effort.steps} steps; what trains has a held-out accuracy of {TRAINS:g}.",
            "The output layer, which no batch norm follows, keeps its scale. Of a normalized layer the scale is a "
            "learning rate in disguise: gradients are divided by it (Arora, Li and Lyu 2019), so the two tolerances "
            "are not independent.",
            ["Ioffe and Szegedy 2015", "Arora, Li and Lyu 2019"],
        ),
        f"learning rate {ORDINARY_RATE:g}, after {effort.steps} steps",
        "factor of the initial weights",
        scales,
        reached,
    )


def _smooth(losses: Array) -> Array:
    """Mean over the last ten steps, from the tenth step on."""
    with np.errstate(all="ignore"):
        return np.asarray(np.lib.stride_tricks.sliding_window_view(losses, WINDOW, axis=0).mean(axis=-1))


def _steps_to_learn(smooth: Array) -> Array:
    """The first step at which the smoothed loss (steps, seeds) is low enough; the last step if it never is."""
    low = smooth <= LEARNED
    first = np.where(low.any(axis=0), low.argmax(axis=0), len(smooth) - 1)
    return np.asarray(first + WINDOW, np.float64)
