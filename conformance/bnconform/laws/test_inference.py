"""I: inference."""

from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import INFERENCE
from bnconform.cases.strategies import Cases
from bnconform.judging.expression import Rearranged, shown
from bnconform.judging.judge import Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import Case


@requirement("I1", given=Cases(replace(INFERENCE, statistics=("random", "new"), biases=("random", "zero"))))
def test_inference_uses_the_running_statistics(judge: Judge, case: Case) -> None:
    """y = weight * (x - running_mean) / sqrt(running_var + eps) + bias within the allowed error."""
    judge.agrees(case, judge.run(case), ["y"])


@requirement("I2", given=Cases(INFERENCE))
def test_one_sample_alone_is_as_in_a_batch(judge: Judge, case: Case) -> None:
    """A sample alone has the same y as inside a batch, within both allowed errors."""
    batch = judge.run(case)
    expected = judge.agrees(case, batch, ["y"])["y"]
    assert batch.y is not None
    alone = replace(case, x=case.x[-1:])
    outcome = judge.run(alone)
    own = judge.agrees(alone, outcome, ["y"])["y"]
    last = Rearranged(batch.y, lambda y: y[-1:])
    judge.near("y", outcome.y, batch.y[-1:], expected.allowed[-1:] + own.allowed, expected_of=last)


@requirement("I3", given=Cases(replace(INFERENCE, values=("normal", "two_valued", "outlier"), ratios=(1.0, 0.0, 10.0))))
def test_inference_is_affine(judge: Judge, case: Case) -> None:
    """y(x) + y(-x) = 2 y(0), and y has the scale and shift measured at 0 and 1, as when folded into a convolution."""
    outcomes = {}
    for name, x in (("x", case.x), ("-x", -case.x), ("0", np.zeros_like(case.x)), ("1", np.ones_like(case.x))):
        point = replace(case, x=x)
        outcomes[name] = judge.run(point).y, judge.expect(point)["y"].allowed
    values = {name: None if y is None else y.astype(np.float64) for name, (y, _) in outcomes.items()}
    (y, by), (z, bz), (c, bc), (o, bo) = ((values[name], outcomes[name][1]) for name in ("x", "-x", "0", "1"))
    if y is None or z is None or c is None or o is None:
        judge.missing("y")
    at = {name: shown(output) for name, (output, _) in outcomes.items()}
    both, twice = at["x"].wide + at["-x"].wide, 2 * at["0"].wide
    judge.close("y", y + z, Quantity(2 * c, by + bz + 2 * bc), got=both, expected_of=twice)
    size = np.abs(case.x.astype(np.float64))
    folded = (at["1"].wide - at["0"]) * shown(case.x).wide + at["0"]
    line = Quantity((o - c) * case.x.astype(np.float64) + c, by + bc + size * (bo + bc))
    judge.close("y", y, line, got=at["x"], expected_of=folded)


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
    """Large running means and tiny, zero or huge running variances give y within the allowed error."""
    judge.agrees(case, judge.run(case), ["y"])
