"""Batch norm inside a recurrence, with layer normalization beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnconform.cases.digits import held_out
from bnconform.training.experiments.facts import Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.trials import Effort, Subject, Trial, alternative, statistics_kept
from bnconform.training.network import Architecture, Array, accuracy
from bnconform.training.norms import Settings
from bnconform.training.recurrent import Recurrent, initial

HIDDEN = 32
RATE = 0.2
EVERY = 12


def recurrence(subjects: Sequence[Subject], effort: Effort) -> Experiment:
    """Held-out accuracy of a network that reads digits row by row."""
    lines, gaps, facts = [], [], []
    for subject in subjects:
        for shared, told in ((True, "one set of statistics"), (False, "statistics of every step")):
            at, inferred, by_batch = _train(subject, effort, shared=shared)
            lines.append(line(f"{subject.name}, {told}", subject.name, at, inferred))
            gaps.append(line(f"{subject.name}, {told}", subject.name, at, by_batch - inferred))
            gap = Interval.of(by_batch[-1] - inferred[-1])
            what = f"{told}: accuracy by the batch's own statistics, less that in inference"
            facts.append(Fact(subject.name, what, gap, "above 0" if shared else ""))
    for name in ("layer norm", "no normalization"):
        at, inferred, _ = _train(alternative(name), effort, shared=False)
        lines.append(line(name, name, at, inferred))
    return Experiment(
        "recurrent",
        "Where it is questionable: inside a recurrence",
        "A recurrent layer's inputs are distributed differently at every step, so that one set of running statistics "
        "fits none (Laurent et al. 2016); each step needs its own (Cooijmans et al. 2017), which no longer sequence "
        "than in training has. Layer normalization has no such trouble (Ba et al. 2016).",
        f"A network of {HIDDEN} units reads digits row by row, rate {RATE:g}; the batch norm stands before tanh. "
        "Accuracy on the held-out digits in inference, and in training mode, with the statistics of the held-out "
        "digits themselves.",
        "Eight steps are a short sequence. What is compared is inference, not whether normalized recurrences learn "
        "long dependencies.",
        ["Laurent et al. 2016", "Cooijmans et al. 2017", "Ba, Kiros and Hinton 2016"],
        [
            Panel("inference", "steps", "held-out accuracy", lines),
            Panel("lost in inference", "steps", "accuracy by batch less inference", gaps),
        ],
        facts,
    )


def _train(subject: Subject, effort: Effort, *, shared: bool) -> tuple[list[int], Array, Array]:
    """Steps, and the accuracy in inference and in training mode at each step, for every seed."""
    each = [initial(HIDDEN, np.random.default_rng((seed, 0))) for seed in range(effort.seeds)]
    parameters = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
    network = Recurrent(parameters, subject.make(effort.seeds, Settings()), shared_statistics=shared)
    batches = Trial(Architecture((HIDDEN,)), effort.seeds, effort.steps, 32).batches()
    at, inferred, by_batch, data = [], [], [], held_out()
    for step, batch in enumerate(batches, 1):
        network.step(batch.images, batch.labels, RATE)
        if step % EVERY == 0:
            at.append(step)
            inferred.append(accuracy(network.logits(data.images), data.labels))
            with statistics_kept(network):
                by_batch.append(accuracy(network.logits(data.images, training=True), data.labels))
    return at, np.stack(inferred), np.stack(by_batch)
