"""I: inference."""

from dataclasses import replace

from bnconform.judge import Judge
from bnconform.law import requirement
from bnconform.spaces import INFERENCE
from bnconform.strategies import Cases
from bnconform_adapters.contract import Case


@requirement("I1", given=Cases(INFERENCE))
def test_inference_uses_the_running_statistics(judge: Judge, case: Case) -> None:
    """y = weight * (x - running_mean) / sqrt(running_var + eps) + bias within the allowed error."""
    judge.agrees(case, judge.run(case), ["y"])


@requirement("I2", given=Cases(INFERENCE))
def test_one_sample_alone_is_as_in_a_batch(judge: Judge, case: Case) -> None:
    """A sample alone gives what it gives inside a batch, within the errors allowed to both."""
    batch = judge.run(case)
    expected = judge.agrees(case, batch, ["y"])["y"]
    assert batch.y is not None
    alone = replace(case, x=case.x[-1:])
    outcome = judge.run(alone)
    own = judge.agrees(alone, outcome, ["y"])["y"]
    judge.near("y", outcome.y, batch.y[-1:], expected.allowed[-1:] + own.allowed)


@requirement(
    "I4",
    given=Cases(
        replace(
            INFERENCE,
            statistics=("zero_variance", "small_variance", "huge_variance", "large_mean"),
            spreads=("unit",),
        )
    ),
)
def test_extreme_running_statistics(judge: Judge, case: Case) -> None:
    """Large running means and tiny, zero or huge running variances are used like any others."""
    judge.agrees(case, judge.run(case), ["y"])
