"""F: forward in training mode."""

from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import TRAINING
from bnconform.cases.strategies import AnyOf, Cases
from bnconform.judging.expression import both, shown
from bnconform.judging.findings import signature
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform_adapters.contract import DTYPES, Case, parameter_dtype
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.double_double import high
from bnconform_reference.precision import UNIT_ROUNDOFF

SMALL_BATCHES = replace(TRAINING, n=(2, 3, 4), ratios=(1.0, 0.0), values=("normal", "two_valued"))


@requirement("F1", given=Cases(TRAINING))
def test_output_is_weight_times_xhat_plus_bias(judge: Judge, case: Case) -> None:
    """y = weight * xhat + bias within the allowed error, at every claimed rank, dtype and layout."""
    judge.agrees(case, judge.run(case), ["y"])


@requirement("F2", given=Cases(SMALL_BATCHES))
def test_normalizing_variance_is_biased(judge: Judge, case: Case) -> None:
    """The variance that normalizes divides by n, seen at n = 2, 3, 4."""
    expected = judge.agrees(case, judge.run(case), ["y"])["y"]
    bias = 0.0 if case.bias is None else case.bias.astype(np.float64).reshape(-1, *[1] * (case.x.ndim - 2))
    variance = channel_rows(case.x).var(axis=1)
    unbiased = variance * case.values_per_channel / (case.values_per_channel - 1)
    shrunk = 1 - np.sqrt((variance + case.eps) / (unbiased + case.eps))
    effect = np.abs(high(expected.value) - bias) * shrunk.reshape(-1, *[1] * (case.x.ndim - 2))
    if not (effect > expected.allowed).any():
        judge.mistrust()


@requirement(
    "F3",
    given=Cases(
        replace(
            TRAINING,
            eps=(1.0, 0.1, 1e-3, 1e-5, 1e-8, 1e-12, 0.0),
            spreads=("small", "unit", "tiny"),
            ratios=(1.0, 0.0),
            values=("normal", "outlier"),
        )
    ),
)
def test_eps_is_added_inside_the_root(judge: Judge, case: Case) -> None:
    """eps is added to the variance inside the root and honoured from 1e-12 to 1, and at 0 where claimed."""
    judge.agrees(case, judge.run(case), ["y"])


BOTH = replace(
    TRAINING,
    parameters=("both",),
    weights=("random", "one", "negative", "zero", "tiny", "large"),
    biases=("random", "zero", "tiny", "large", "negative", "huge"),
)


@requirement("F4", given=AnyOf((Cases(BOTH), Cases(replace(BOTH, parameters=None)))), share=3.0, least=3)
def test_weight_and_bias_are_independent(judge: Judge, case: Case) -> None:
    """Weight and bias may be random, negative, zero, tiny or large, and absent together or alone."""
    judge.agrees(case, judge.run(case), ("y", *STATISTICS))


@requirement("F5", given=Cases(replace(TRAINING, gradients="where claimed")))
def test_shapes_and_dtypes_are_kept(judge: Judge, case: Case) -> None:
    """y and dx have x's shape and dtype; statistics and parameter gradients have the parameters'."""
    outcome = judge.run(case)
    parameter = np.empty((case.channels,), DTYPES[parameter_dtype(case.dtype)])
    for name in ("y", *STATISTICS, *GRADIENTS):
        array = getattr(outcome, name)
        like = case.x if name in ("y", "dx") else parameter
        if array is not None and signature(array) != signature(like):
            other = both(shown(array).dtype_name, shown(array).shape).unequal((like.dtype.name, like.shape))
            judge.broken(name, f"is {signature(array)}; the case asks for {signature(like)}", other)


@requirement("F6", given=Cases(replace(TRAINING, values=("constant",), ratios=(1.0, 10.0, 1e4), eps=(1e-5, 1e-3, 1.0))))
def test_constant_channel_gives_bias(judge: Judge, case: Case) -> None:
    """A constant channel gives bias, finite and as near as the rounding of its mean allows."""
    judge.agrees(case, judge.run(case), ["y"])


EXACT = replace(
    TRAINING,
    n=(2, 4, 8, 16, 64, 256, 1024),
    values=("balanced",),
    ratios=(1.0, 0.0, 10.0),
    spreads=("unit",),
    precise=(False,),
    momenta=(1.0,),
    statistics=("new",),
)


@requirement("F7", given=Cases(EXACT))
def test_exact_data_give_exact_statistics(judge: Judge, case: Case) -> None:
    """If sums in any order are exact, mean and variance are exact, too; Bessel's factor costs two roundings.

    The data are those of oneDNN's benchdnn: equally many values below and above the mean, n a power of two. The running
    means of Welford and Chan round on the way; an implementation that claims such a grade has the usual allowed error.
    """
    outcome, expected = judge.run(case), judge.agrees(case, judge.run(case), ["y"])
    for name in STATISTICS if judge.claims.tracked else ():
        quantity, exact = expected[name], high(expected[name].value)
        if judge.claims.grade[1] == "T" and case.momentum == 1:  # a fixed momentum below 1 also rounds
            roundings = 0 if name == "running_mean" else 2
            quantity = replace(quantity, allowed=roundings * UNIT_ROUNDOFF[parameter_dtype(case.dtype)] * np.abs(exact))
        judge.close(name, getattr(outcome, name), quantity)


@requirement("F8", given=Cases(replace(TRAINING, needs=("tracked",))))
def test_output_ignores_running_statistics_and_momentum(judge: Judge, case: Case) -> None:
    """y has the same bits under other momentum and running statistics, also ones equal to bias and weight."""
    y = judge.run(case).y
    assert case.running_mean is not None
    assert case.running_var is not None
    (momentum,) = judge.claims.usable_momenta((1.0,))
    other = replace(case, running_mean=3 * case.running_mean + 1, running_var=2 * case.running_var, momentum=momentum)
    judge.same_bits("y", y, judge.run(other).y, "under these running statistics and momentum and under others")
    alike = replace(
        case,
        running_mean=case.running_mean if case.bias is None else case.bias,
        running_var=case.running_var if case.weight is None else np.abs(case.weight),
    )
    judge.same_bits("y", y, judge.run(alike).y, "with these running statistics and with bias and weight for them")
    judge.agrees(case, replace(judge.run(case), y=y), ["y"])


@requirement(
    "F9",
    given=Cases(
        replace(
            TRAINING,
            values=("normal", "constant", "outlier", "sorted", "two_valued"),
            spreads=("unit", "tiny", "varied", "huge", "subnormal"),
        )
    ),
)
def test_finite_input_gives_finite_output(judge: Judge, case: Case) -> None:
    """Finite input inside the overflow guard gives finite output; a stored variance is not negative."""
    outcome = judge.run(case)
    for name in ("y", *STATISTICS):
        array = getattr(outcome, name)
        if array is not None and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            infinite = shown(array).finite().all().fails()
            judge.broken(name, f"is {array[index]!s} at {list(index)} for finite input", infinite)
    if outcome.running_var is not None and (outcome.running_var < 0).any():
        negative = (shown(outcome.running_var) < 0).any()
        judge.broken("running_var", f"is negative: {float(outcome.running_var.min()):.9g}", negative)
