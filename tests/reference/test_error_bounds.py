"""Error bounds hold for every correct algorithm of their grade, and catch wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from judged_data import DTYPES, channels, inference_ratios, parameters, ratios
from rounded_algorithms import ALGORITHMS, Algorithm, Results, Rows, infer, naive, pairwise, train

from bnconform_reference.double_double import Array
from bnconform_reference.precision import DtypeName, Grade, Precision

MOMENTUM = 0.1
EPS = [0.0, 1e-12, 1e-5, 1e-3]
SIZES = [1, 2, 3, 5, 8, 33, 127, 256, 1000, 10_000]
RATIOS = [0.0, 1.0, 30.0, 1e3, 1e6]
LAST_WITH_ALL_DATA = 1000
NAMED = [pytest.param(a, id=a.name) for a in ALGORITHMS]


def worst(algorithm: Algorithm, dtype: DtypeName, n: int, eps: float, mean_ratios: list[float]) -> dict[str, float]:
    """The largest observed / allowed of each quantity over the hard channels."""
    x, dy = channels(n, mean_ratios, dtype)
    columns = parameters(len(x))
    results = train(algorithm, x, dy, *columns, eps=eps, momentum=MOMENTUM, output=DTYPES[dtype])
    precision = Precision.for_dtype(dtype, algorithm.grade)
    found = ratios(results, x, dy, *columns, eps=eps, momentum=MOMENTUM, precision=precision)
    return {name: float(np.max(ratio)) for name, ratio in found.items()}


# Constant channels with eps = 0 overflow and divide by 0, as they must.
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("algorithm", NAMED)
def test_correct_float32_training_is_within_bounds(algorithm: Algorithm, n: int) -> None:
    """No quantity of a correct algorithm exceeds the bound of its honest grade, on any data."""
    step = 1 if n <= LAST_WITH_ALL_DATA else 2
    for eps in EPS[::step]:
        for name, ratio in worst(algorithm, "float32", n, eps, RATIOS[::step]).items():
            assert ratio <= 1, f"{name}, eps={eps}"


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("n", [2, 3, 33, 256])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("algorithm", NAMED)
def test_correct_training_on_half_types_is_within_bounds(algorithm: Algorithm, dtype: DtypeName, n: int) -> None:
    """Nor when x, dy, y and dx are stored in a half type around float32 arithmetic."""
    for eps in EPS:
        for name, ratio in worst(algorithm, dtype, n, eps, RATIOS[:-1]).items():
            assert ratio <= 1, f"{name}, eps={eps}"


@pytest.mark.parametrize("folded", [False, True], ids=["direct", "folded"])
@pytest.mark.parametrize("n", [1, 33, 1000])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_correct_inference_is_within_bounds(dtype: DtypeName, n: int, folded: bool) -> None:
    """Inference in float32, direct or folded into a scale and a shift, is within its bounds in any output type."""
    x, dy = channels(n, RATIOS[:-1], dtype)
    weight, bias, mean, variance = parameters(len(x))
    # A mean as far from 0 as the data, and one far from the data.
    for centre in (x.mean(axis=-1, keepdims=True).astype(np.float32).astype(np.float64), mean):
        for eps in EPS:
            results = infer(x, dy, weight, bias, centre, variance, eps=eps, output=DTYPES[dtype], folded=folded)
            found = inference_ratios(
                results, x, dy, weight, bias, centre, variance, eps=eps, precision=Precision.for_dtype(dtype, "TT")
            )
            for name, ratio in found.items():
                assert np.all(ratio <= 1), f"{name}, eps={eps}"


CORRECT = ALGORITHMS[0]
FAULT_EPS = 1e-3
"""Large enough to matter beside a variance of 1 when it is misplaced."""


def faulty_results(change: Callable[[Rows, Rows, Results, Rows], Results], n: int) -> dict[str, Array]:
    """Ratios, at the loosest grade, after `change` of correct results from x, dy, weight."""
    rng = np.random.default_rng(n)
    x, dy = rng.standard_normal((2, 8, n)).astype(np.float32).astype(np.float64)
    columns = parameters(len(x))
    results = train(CORRECT, x, dy, *columns, eps=FAULT_EPS, momentum=MOMENTUM, output=np.float32)
    faulty = change(x, dy, results, columns[0])
    return ratios(
        faulty, x, dy, *columns, eps=FAULT_EPS, momentum=MOMENTUM, precision=Precision.for_dtype("float32", "NN")
    )


def unbiased_normalization(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """y divided by the root of the unbiased variance."""
    n = x.shape[-1]
    _, bias, _, _ = parameters(len(x))
    return replace(correct, y=weight * (x - correct.mean) / np.sqrt(correct.variance * n / (n - 1) + FAULT_EPS) + bias)


def eps_outside_the_root(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """y divided by sd + eps."""
    _, bias, _, _ = parameters(len(x))
    return replace(correct, y=weight * (x - correct.mean) / (np.sqrt(correct.variance) + FAULT_EPS) + bias)


def biased_running_variance(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """The biased variance stored where the unbiased one is due."""
    n = x.shape[-1]
    return replace(correct, running_var=correct.running_var - MOMENTUM * correct.variance / (n - 1))


def gradient_without_the_mean_term(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """dx without dbias / n."""
    invstd = 1 / np.sqrt(correct.variance + FAULT_EPS)
    return replace(correct, dx=correct.dx + weight * invstd * correct.dbias / x.shape[-1])


def gradient_without_the_variance_term(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """dx without xhat dweight / n."""
    invstd = 1 / np.sqrt(correct.variance + FAULT_EPS)
    xhat = (x - correct.mean) * invstd
    return replace(correct, dx=correct.dx + weight * invstd * xhat * correct.dweight / x.shape[-1])


def gradient_of_uncentred_x(x: Rows, dy: Rows, correct: Results, weight: Rows) -> Results:
    """dweight as sum dy x invstd."""
    return replace(correct, dweight=pairwise(dy * x) / np.sqrt(correct.variance + FAULT_EPS))


FAULTS = [
    (unbiased_normalization, "y"),
    (eps_outside_the_root, "y"),
    (biased_running_variance, "running_var"),
    (gradient_without_the_mean_term, "dx"),
    (gradient_without_the_variance_term, "dx"),
    (gradient_of_uncentred_x, "dweight"),
]


@pytest.mark.parametrize("n", [4, 64, 256])
@pytest.mark.parametrize(("fault", "quantity"), [pytest.param(*f, id=f[0].__name__) for f in FAULTS])
def test_fault_exceeds_even_the_loosest_bound(
    fault: Callable[[Rows, Rows, Results, Rows], Results], quantity: str, n: int
) -> None:
    """A wrong formula is out of bounds on every channel of ordinary data, and nothing else is."""
    for name, ratio in faulty_results(fault, n).items():
        if name == quantity:
            assert np.all(np.max(ratio, axis=-1) > 1)
        else:
            assert np.all(ratio <= 1), name


@pytest.mark.parametrize("grade", ["TT", "TW", "BT", "BW", "NT", "NW"])
def test_naive_variance_exceeds_every_better_grade(grade: Grade) -> None:
    """E[x^2] - E[x]^2 at |mean| / sd = 1000 is out of bounds for any claim but the naive one."""
    x, dy = np.random.default_rng(0).standard_normal((2, 8, 128))
    x, dy = (x + 1e3).astype(np.float32), dy.astype(np.float32)
    columns = parameters(len(x))
    algorithm = Algorithm("naive", grade, naive, pairwise)
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    results = train(algorithm, x, dy, *columns, eps=1e-5, momentum=MOMENTUM, output=np.float32)
    found = ratios(
        results, x, dy, *columns, eps=1e-5, momentum=MOMENTUM, precision=Precision.for_dtype("float32", grade)
    )
    for name in ("variance", "running_var"):
        assert np.max(found[name]) > 1


@pytest.mark.parametrize("n", [100, 10_000])
def test_half_accumulation_exceeds_every_bound(n: int) -> None:
    """Sums that run in float16 are out of bounds, float32 accumulation being what is claimed."""
    x, dy = channels(n, [1.0], "float16")
    columns = parameters(len(x))
    algorithm = replace(CORRECT, accumulation=np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        results = train(algorithm, x, dy, *columns, eps=1e-3, momentum=MOMENTUM, output=np.float16)
    precision = Precision.for_dtype("float16", "TT")
    found = ratios(results, x, dy, *columns, eps=1e-3, momentum=MOMENTUM, precision=precision)
    assert np.max(found["mean"]) > 1
    assert np.max(found["dweight"]) > 1
