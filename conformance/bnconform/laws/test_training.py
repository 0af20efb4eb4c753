"""T: training of a network on real data, with the implementation's layer instead of the oracle's."""

from collections.abc import Mapping
from dataclasses import replace

from bnconform.judging.comparison import compare
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform.training.drawn_runs import TrainingRuns, training_run_of
from bnconform.training.network import Norm
from bnconform.training.spread import expected_run, oracle_run
from bnconform.training.training_run import Notes, TrainingRun, inference_only
from bnconform_adapters.contract import Case, Outcome

FEW = 1 / 20
"""Share of the examples: a training run has about forty calls."""


@requirement("T1", given=TrainingRuns(), share=FEW)
def test_training_follows_the_oracles_course(judge: Judge, first: Case) -> None:
    """Loss, parameters and running statistics differ from the oracle's only by the rounding of a correct layer."""
    training_run, dialect = training_run_of(first), judge.claims.dialect
    expected = expected_run(training_run, judge.claims)
    names = [name for name in expected if name not in inference_only(expected)]
    _follow(judge, training_run, names)
    biased = dialect.stored_variance == "biased"
    other_divisor = replace(dialect, stored_variance="unbiased" if biased else "biased")
    if not _shows(oracle_run(training_run, other_divisor), expected, names):
        judge.mistrust()


@requirement("T2", given=TrainingRuns(), share=FEW)
def test_inference_after_training_agrees(judge: Judge, first: Case) -> None:
    """Inference on held-out images, during and after training, gives the same outputs as the oracle's network."""
    training_run = training_run_of(first)
    expected = expected_run(training_run, judge.claims)
    names = inference_only(expected)
    _follow(judge, training_run, names)
    if not _shows(oracle_run(training_run.swapped(), judge.claims.dialect), expected, names):
        judge.mistrust()


def _shows(faulty: Notes, expected: Mapping[str, Quantity], names: list[str]) -> bool:
    """Return True if a training run breaks the law; used to check that a known fault would."""
    return any((compare(faulty[name][0], expected[name]).ratio > 1).any() for name in names)


def _follow(judge: Judge, training_run: TrainingRun, names: list[str]) -> None:
    """Train with the implementation's layers, and compare the values of these names with the oracle's."""
    expected, calls = expected_run(training_run, judge.claims), list[tuple[Case, Outcome]]()

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        call = judge.new_layer()

        def noted(case: Case) -> Outcome:
            calls.append((case, call(case)))
            return calls[-1][1]

        return training_run.norm(noted, channels, spatial, judge.claims)

    found = training_run.run(make_norm)
    if _shows(found, expected, names):
        for case, outcome in calls:  # find the call that broke the training run, if one did
            judge.agrees(case, outcome, ("y", *STATISTICS, *GRADIENTS))
    for name in names:
        judge.close(name, found[name][0], expected[name], reproducible=False)
