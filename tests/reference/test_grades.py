"""What a grade promises: heights of summation trees, and bounds that widen from grade to grade."""

from __future__ import annotations

from dataclasses import fields
from math import inf

import numpy as np
import pytest
from judged_data import channels, parameters

from bnconform_reference.definition import backward_training, forward_training
from bnconform_reference.double_double import Array
from bnconform_reference.error_bounds import ForwardBounds, training_backward_bounds, training_forward_bounds
from bnconform_reference.precision import GRADES, DtypeName, Grade, Precision

FLOAT32 = "float32"


def pairwise_height(n: int) -> int:
    """Additions that a value may pass in NumPy's pairwise summation (loops_utils.h.src)."""
    if n < 8:
        return max(n - 1, 0)
    if n <= 128:
        return n // 8 - 1 + 3 + n % 8  # eight lanes, their tree, and the leftover one by one
    half = n // 2 - n // 2 % 8
    return 1 + max(pairwise_height(half), pairwise_height(n - half))


@pytest.mark.parametrize("n", [*range(1, 600), 1000, 4095, 10_000, 65_537, 10**6, 12_345_679])
def test_tree_height_covers_numpys_pairwise_sum(n: int) -> None:
    """Grade T, which pairwise summation claims, is no lower than NumPy's pairwise tree."""
    assert Precision.for_dtype(FLOAT32, "TT").sum_height(n) >= pairwise_height(n)


@pytest.mark.parametrize("n", [*range(1, 300), 1000, 10_000, 10**6])
def test_heights_grow_with_the_letter(n: int) -> None:
    """A blocked sum is granted no less than a tree, any order no less than blocks, and no grade more than n."""
    tree, blocked, any_order = (Precision.for_dtype(FLOAT32, g).sum_height(n) for g in ("TT", "BT", "NT"))
    assert 1 <= tree <= blocked <= any_order <= n


@pytest.mark.parametrize("grade", GRADES)
def test_height_grows_with_the_number_of_values(grade: Grade) -> None:
    """More values never get a lower tree."""
    heights = [Precision.for_dtype(FLOAT32, grade).sum_height(n) for n in range(1, 2000)]
    assert heights == sorted(heights)


def test_gamma_is_unbounded_where_its_analysis_ends() -> None:
    """gamma_k = k u / (1 - k u) while k u < 1/2, and no bound beyond."""
    precision = Precision.for_dtype(FLOAT32)
    assert precision.gamma(2**22) == (2**-2) / (1 - 2**-2)
    assert precision.gamma(2**23) == inf


@pytest.mark.parametrize(
    ("dtype", "accumulation", "parameters_dtype"),
    [
        ("float16", "float32", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
    ],
)
def test_usual_precision_accumulates_at_least_in_float32(
    dtype: DtypeName, accumulation: DtypeName, parameters_dtype: DtypeName
) -> None:
    """Half types accumulate and keep parameters in float32; wider types stay themselves."""
    precision = Precision.for_dtype(dtype)
    assert (precision.accumulation, precision.output, precision.parameters) == (
        accumulation,
        dtype,
        parameters_dtype,
    )


def all_bounds(x: Array, dy: Array, eps: float, precision: Precision) -> dict[str, Array]:
    weight, bias, _, _ = parameters(len(x))
    forward = forward_training(x, weight, bias, eps, exact=True)
    gradients = backward_training(dy, weight, forward, exact=True)
    bounds: ForwardBounds = training_forward_bounds(x, weight, bias, eps, forward, precision)
    backward = training_backward_bounds(x, dy, weight, forward, gradients, bounds, precision)
    return {f.name: getattr(b, f.name) for b in (bounds, backward) for f in fields(b)}


WIDER: list[tuple[Grade, Grade]] = [
    ("TT", "TW"),
    ("BT", "BW"),
    ("NT", "NW"),
    ("TT", "BT"),
    ("TW", "BW"),
    ("BT", "NT"),
    ("BW", "NW"),
]


@pytest.mark.parametrize("n", [1, 2, 5, 100, 3000])
@pytest.mark.parametrize(("better", "worse"), WIDER, ids=lambda grade: str(grade))
def test_bounds_widen_from_grade_to_grade(better: Grade, worse: Grade, n: int) -> None:
    """Whoever meets a grade meets those that are worse in one letter."""
    x, dy = channels(n, [0.0, 1.0, 1e3], "float32")
    for eps in (0.0, 1e-5):
        narrow = all_bounds(x, dy, eps, Precision.for_dtype(FLOAT32, better))
        wide = all_bounds(x, dy, eps, Precision.for_dtype(FLOAT32, worse))
        for name, bound in narrow.items():
            assert np.all(bound <= wide[name]), name


@pytest.mark.parametrize("better", ["NT", "NW"])
@pytest.mark.parametrize("n", [2, 5, 100, 3000])
def test_naive_bounds_are_the_widest_away_from_zero(better: Grade, n: int) -> None:
    """Cancellation costs a naive variance more than any other formula loses, once |mean| exceeds sd."""
    x, dy = channels(n, [1e3], "float32")
    keep = np.abs(x.mean(axis=-1)) >= x.std(axis=-1)
    narrow = all_bounds(x, dy, 1e-5, Precision.for_dtype(FLOAT32, better))
    wide = all_bounds(x, dy, 1e-5, Precision.for_dtype(FLOAT32, "NN"))
    for name, bound in narrow.items():
        assert np.all(bound[keep] <= wide[name][keep]), name


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 1e-3])
def test_unclamped_variance_is_granted_what_a_negative_one_gives(eps: float) -> None:
    """E[x^2] - E[x]^2 left negative gives NaN, which its grade allows and the clamped one does not."""
    x, dy = channels(100, [0.0, 1.0, 1e2, 1e3, 1e4], "float32")
    narrow = x.astype(np.float32)
    mean = narrow.mean(axis=-1, keepdims=True)
    variance = np.square(narrow).mean(axis=-1, keepdims=True) - np.square(mean)
    with np.errstate(invalid="ignore"):
        y = (narrow - mean) / np.sqrt(variance + np.float32(eps))
    lost = np.isnan(y)
    clamped, unclamped = (all_bounds(x, dy, eps, Precision.for_dtype(FLOAT32, grade)) for grade in ("NN", "NU"))
    assert lost.any()
    assert not lost.all()
    assert np.isinf(unclamped["y"][lost]).all()
    assert np.isfinite(clamped["y"]).all()
    assert np.isfinite(unclamped["y"][:2]).all()
    for name, bound in clamped.items():
        assert np.all(bound <= unclamped[name]), name


@pytest.mark.parametrize("narrower", ["float16", "bfloat16"])
def test_bounds_widen_with_the_output_type(narrower: DtypeName) -> None:
    """A half-type output is granted its rounding on top of what float32 is granted."""
    x, dy = channels(33, [0.0, 30.0], narrower)
    precise = all_bounds(x, dy, 1e-5, Precision.for_dtype(FLOAT32, "TT"))
    stored = all_bounds(x, dy, 1e-5, Precision.for_dtype(narrower, "TT"))
    for name in ("y", "dx"):
        assert np.all(precise[name] < stored[name]), name
    for name in ("mean", "variance", "invstd", "dweight", "dbias"):
        np.testing.assert_array_equal(precise[name], stored[name], err_msg=name)


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("special", [None, np.nan, np.inf, 1e200])
def test_bounds_are_never_nan(special: float | None, eps: float, grade: Grade) -> None:
    """Where nothing can be said, a bound is infinite: NaN would fail every comparison. Nothing warns either."""
    x, dy = channels(5, [0.0, 1e6], "float32")
    if special is not None:
        x[:, 2] = special
    for name, bound in all_bounds(x, dy, eps, Precision.for_dtype(FLOAT32, grade)).items():
        assert np.all(bound >= 0), name
