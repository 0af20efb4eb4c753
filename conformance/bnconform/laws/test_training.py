"""T: training a network on real data, with the implementation's layer in the place of the oracle's."""

from collections.abc import Mapping
from dataclasses import replace

from bnconform.judging.comparison import compare
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform.training.drawn_runs import Courses, course_of
from bnconform.training.network import Norm
from bnconform.training.spread import expected_course, oracle_course
from bnconform.training.training_run import Course, Notes, inference_only
from bnconform_adapters.contract import Case, Outcome

FEW = 1 / 20
"""A course is some forty calls."""


@requirement("T1", given=Courses(), share=FEW)
def test_training_follows_the_oracles_course(judge: Judge, first: Case) -> None:
    """Loss, parameters and running statistics stay as near the oracle's as rounding lets a correct layer come."""
    course, dialect = course_of(first), judge.claims.dialect
    expected = expected_course(course, judge.claims)
    names = [name for name in expected if name not in inference_only(expected)]
    _follow(judge, course, names)
    biased = dialect.stored_variance == "biased"
    other_divisor = replace(dialect, stored_variance="unbiased" if biased else "biased")
    if not _shows(oracle_course(course, other_divisor), expected, names):
        judge.mistrust()


@requirement("T2", given=Courses(), share=FEW)
def test_inference_after_training_agrees(judge: Judge, first: Case) -> None:
    """What inference gives during and after training, on images held out, is what the oracle's network gives."""
    course = course_of(first)
    expected = expected_course(course, judge.claims)
    names = inference_only(expected)
    _follow(judge, course, names)
    if not _shows(oracle_course(course.swapped(), judge.claims.dialect), expected, names):
        judge.mistrust()


def _shows(faulty: Notes, expected: Mapping[str, Quantity], names: list[str]) -> bool:
    """Whether a course with a known fault would have broken the law."""
    return any((compare(faulty[name][0], expected[name]).ratio > 1).any() for name in names)


def _follow(judge: Judge, course: Course, names: list[str]) -> None:
    """Train with the implementation's layers, and hold what was noted under these names against the oracle's course."""
    expected, calls = expected_course(course, judge.claims), list[tuple[Case, Outcome]]()

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        call = judge.new_layer()

        def noted(case: Case) -> Outcome:
            calls.append((case, call(case)))
            return calls[-1][1]

        return course.norm(noted, channels, spatial, judge.claims)

    found = course.run(make_norm)
    if _shows(found, expected, names):
        for case, outcome in calls:  # which call it is that led off the course, if one did
            judge.agrees(case, outcome, ("y", *STATISTICS, *GRADIENTS))
    for name in names:
        judge.close(name, found[name][0], expected[name], reproducible=False)
