"""N: quality of arithmetic."""

from dataclasses import replace

from bnconform.judge import GRADIENTS, STATISTICS, Judge
from bnconform.law import requirement
from bnconform.spaces import TRAINING
from bnconform.strategies import Cases
from bnconform_adapters.contract import Case

QUANTITIES = ("y", *STATISTICS, *GRADIENTS)

CONDITIONING = replace(
    TRAINING,
    gradients="where claimed",
    ratios=(1.0, 10.0, 1e2, 1e3, 1e4, 1e6),
    values=("normal", "sorted", "outlier", "two_valued"),
    spreads=("unit",),
    eps=(1e-5, 1e-3, 1e-12),
)


@requirement("N1", given=Cases(CONDITIONING))
def test_arithmetic_is_as_good_as_claimed(judge: Judge, case: Case) -> None:
    """No output is worse than the claimed accumulation grade allows, at |mean|/sd up to 1e6 and long channels."""
    outcome = judge.run(case)
    judge.grade(case, outcome, QUANTITIES)
    judge.agrees(case, outcome, QUANTITIES)
