"""N: quality of arithmetic."""

from dataclasses import replace
from math import log, sqrt

import numpy as np

from bnconform.cases.spaces import TRAINING
from bnconform.cases.strategies import Cases
from bnconform.judging.comparison import ulp_of
from bnconform.judging.expression import shown
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import Case
from bnconform_reference.double_double import high
from bnconform_reference.precision import UNIT_ROUNDOFF

QUANTITIES = ("y", *STATISTICS, *GRADIENTS)

CONDITIONING = replace(
    TRAINING,
    gradients="where claimed",
    ratios=(1.0, 10.0, 1e2, 1e3, 1e4, 1e6),
    values=("normal", "sorted", "outlier", "two_valued"),
    spreads=("unit",),
    eps=(1e-5, 1e-3, 1e-12),
    kinds=("small", "long", "long"),
)


@requirement("N1", given=Cases(CONDITIONING), share=1.5, least=5)
def test_arithmetic_is_as_good_as_claimed(judge: Judge, case: Case) -> None:
    """No output is worse than the claimed accumulation grade allows, at |mean|/sd up to 1e6 and long channels."""
    outcome = judge.run(case)
    judge.grade(case, outcome, QUANTITIES)
    judge.agrees(case, outcome, QUANTITIES)


HALF = replace(TRAINING, dtypes=("float16", "bfloat16"), gradients="where claimed", spreads=("unit", "small"))


@requirement("N2", given=Cases(replace(HALF, ratios=(1.0, 10.0, 30.0), kinds=("small", "small", "long"))))
def test_half_types_accumulate_in_float32(judge: Judge, case: Case) -> None:
    """Half-precision values give outputs of float32 quality, rounded once, also over long channels."""
    judge.agrees(case, judge.run(case), QUANTITIES)


@requirement(
    "N3",
    given=Cases(
        replace(HALF, spreads=("huge", "tiny", "subnormal"), values=("normal", "outlier", "sorted", "constant"))
    ),
)
def test_half_types_keep_their_range(judge: Judge, case: Case) -> None:
    """Squares and sums of large half-precision values do not overflow, and small ones are not lost."""
    outcome = judge.run(case)
    judge.agrees(case, outcome, ("y", *STATISTICS))


CERTAINTY = 1e-12
"""Probability with which unbiased rounding may fail N4, in one case."""


@requirement(
    "N4",
    given=Cases(replace(HALF, n=(257, 129, 1025), values=("normal",), spreads=("unit",), precise=(True,))),
    share=0.5,
)
def test_rounding_is_unbiased(judge: Judge, case: Case) -> None:
    """The mean rounding error of y, in ulp and away from zero, is near 0, as for round to nearest.

    Errors of rounding to nearest lie in [-1/2, 1/2] ulp; by Hoeffding's inequality the mean of N independent ones is
    beyond t with probability below 2 exp(-2 N t^2). Equal values have equal errors and count once. Float32 arithmetic
    adds to each error at most the allowed error less the rounding of the result.
    """
    y, quantity = judge.run(case).y, judge.expect(case)["y"]
    if y is None:
        judge.missing("y")
    value, steps = high(quantity.value), ulp_of(high(quantity.value), case.dtype)
    inexact = quantity.allowed / steps < 1  # elsewhere float32 arithmetic, not rounding, causes the error
    inexact &= (value.astype(y.dtype).astype(np.float64) != value) & np.isfinite(y)
    _, distinct = np.unique(value[inexact], return_index=True)
    count = len(distinct)
    if count < judge.MANY:
        return judge.mistrust()
    errors = (np.sign(value) * (y.astype(np.float64) - value) / steps)[inexact][distinct]
    rounding = UNIT_ROUNDOFF[case.dtype] * np.abs(value)
    arithmetic = float(np.mean(((quantity.allowed - rounding) / steps)[inexact][distinct]))
    allowed = sqrt(log(2 / CERTAINTY) / (2 * count)) + max(arithmetic, 0.0)
    away_from_zero = shown(value).sign() * (shown(y).wide - value) / steps
    mean = away_from_zero[inexact].mean()
    judge.close("y", np.asarray([errors.mean()]), Quantity(np.zeros(1), np.asarray([allowed])), got=mean)
    return None
