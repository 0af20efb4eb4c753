"""All experiments, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bnconform.training.experiments.facts import SCHEMA, Experiment
from bnconform.training.experiments.noise import noise
from bnconform.training.experiments.phases import phases
from bnconform.training.experiments.recurrence import recurrence
from bnconform.training.experiments.shift import shift
from bnconform.training.experiments.speed import initial_scale, speed
from bnconform.training.experiments.tiny_batches import tiny_batches
from bnconform.training.experiments.trials import Effort, Subject

Told = Callable[[str], None]

EXPERIMENTS: tuple[Callable[[Sequence[Subject], Effort], Experiment | list[Experiment]], ...] = (
    speed,
    initial_scale,
    noise,
    shift,
    phases,
    tiny_batches,
    recurrence,
)


def run_all(subjects: Sequence[Subject], effort: Effort, tell: Told = lambda title: None) -> dict[str, Any]:
    """Run all experiments; give their record as JSON data. `tell` gets each title when its experiment is done."""
    found: list[Experiment] = []
    for run in EXPERIMENTS:
        done = run(subjects, effort)
        found += done if isinstance(done, list) else [done]
        tell(found[-1].title)
    return {
        "schema": SCHEMA,
        "subjects": [subject.name for subject in subjects],
        "seeds": effort.seeds,
        "steps": effort.steps,
        "experiments": [experiment.as_data() for experiment in found],
    }
