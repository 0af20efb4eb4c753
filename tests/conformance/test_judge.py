"""The judge's arithmetic: what counts as an error, what is excused, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suite_runs import judge as search_law
from suite_runs import laws, replaced, starter

from bnconform.judging.comparison import compare, ulp
from bnconform.judging.findings import Broken
from bnconform.judging.judge import BITS_ALONE, Judge
from bnconform.judging.law import Law
from bnconform.judging.oracle import Quantity, expect, expect_at
from bnconform.judging.tally import Tally
from bnconform.running.profiles import settings_for
from bnconform.running.search import search
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES, Case
from bnconform_adapters.registry import load
from bnconform_reference.double_double import high
from bnconform_reference.precision import GRADES, LARGEST

NAN, INF = float("nan"), float("inf")


def ratio(got: float, value: float, allowed: float, dtype: Any = "float32") -> float:
    """The judged ratio of one element."""
    quantity = Quantity(np.array([value]), np.array([allowed]))
    return float(compare(np.array([got]).astype(DTYPES[dtype]), quantity).ratio[0])


@pytest.mark.parametrize(
    ("got", "value", "allowed", "expected"),
    [
        (1.5, 1.0, 0.25, 2.0),
        (1.0, 1.0, 0.0, 0.0),
        (1.5, 1.0, 0.0, INF),
        (NAN, 1.0, 0.25, INF),
        (INF, 1.0, 0.25, INF),
        (NAN, NAN, 0.25, 0.0),
        (INF, NAN, 0.25, 0.0),
        (-INF, INF, 0.25, 0.0),
        (1.0, NAN, 0.25, INF),
        (1.0, INF, 0.25, INF),
        (0.0, NAN, NAN, INF),
        (-0.0, 0.0, 0.0, 0.0),
        (9.0, 1.0, INF, 0.0),
        (9.0, 1.0, NAN, 0.0),
    ],
)
def test_ratio_of_error_and_allowed(got: float, value: float, allowed: float, expected: float) -> None:
    """The ratio is error over allowed; no error is 0, finite against not finite is infinite, unbounded says nothing."""
    assert ratio(got, value, allowed) == expected


def test_unbounded_element_is_counted() -> None:
    """A NaN where the value is finite and the bound infinite cannot be blamed, and is counted as unbounded."""
    comparison = compare(np.array([NAN], np.float32), Quantity(np.array([1.0]), np.array([INF])))
    assert comparison.unbounded == 1


def test_nothing_is_said_where_any_number_is_allowed() -> None:
    """NaN is excused where value and allowed error reach past float32 on both sides; on one, an infinity alone is."""
    largest = float(np.finfo(np.float32).max)
    for value, allowed, excused in (
        (0.0, 1e44, True),
        (1e38, 1e44, True),
        (largest, largest, False),
        (0.0, 1e38, False),
    ):
        found = compare(np.array([np.nan], np.float32), Quantity(np.array([value]), np.array([allowed])))
        assert (found.unbounded == 1) == (found.ratio[0] == 0) == excused


@pytest.mark.parametrize("dtype", DTYPES)
def test_overflow_is_excused_only_where_it_may_happen(dtype: Any) -> None:
    """An infinity of the right sign is right where value and allowed error reach past the largest number."""
    largest = LARGEST[dtype]
    assert ratio(INF, largest, largest / 2, dtype) == 0.0
    assert ratio(-INF, largest, largest / 2, dtype) == INF
    assert ratio(-INF, -largest, largest / 2, dtype) == 0.0
    assert ratio(INF, largest / 2, largest / 4, dtype) == INF
    assert compare(np.array([INF], DTYPES[dtype]), Quantity(np.array([largest]), np.array([largest]))).overflowing == 1


def test_worst_element_is_the_largest_ratio() -> None:
    """The worst element is that of the largest ratio, not of the largest error."""
    quantity = Quantity(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[8.0, 1.0], [0.25, 1.0]]))
    comparison = compare(np.array([[4.0, 0.5], [1.0, 0.0]], np.float32), quantity)
    assert comparison.worst == (1, 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ulp_is_the_spacing_of_the_dtype(dtype: Any) -> None:
    """ulp() is NumPy's spacing for normal and subnormal numbers of either sign, and for 0."""
    information = np.finfo(DTYPES[dtype])
    tiny, below = float(information.tiny), 1024 - 1024 * float(information.epsneg)
    for value in (1.0, -1.0, 1.5, 1 / 3, 2.0, below, tiny, tiny / 2, float(information.smallest_subnormal), 0.0):
        stored = DTYPES[dtype].type(value)
        assert ulp(float(stored), dtype) == float(np.spacing(np.abs(stored))), value


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulp_of_the_largest_number(dtype: Any) -> None:
    """The largest number of a dtype is one ulp above the number below it."""
    largest = DTYPES[dtype].type(LARGEST[dtype])
    assert ulp(float(largest), dtype) == float(largest) - float(np.nextafter(largest, DTYPES[dtype].type(0)))


def test_ulp_of_bfloat16() -> None:
    """A bfloat16 has 8 significant bits."""
    assert ulp(1.0, "bfloat16") == 2.0**-7
    assert ulp(255.0, "bfloat16") == 1.0


class Fixed:
    """An adapter that gives what it is told."""

    name = "fixed"
    claims = Claims()

    def layer(self, case: Case) -> Any:
        """Not called here."""
        raise NotImplementedError


def judge(tally: Tally) -> Judge:
    """A judge in the middle of an example."""
    judge = Judge(Fixed(), Claims(), "F1", tally)  # type: ignore[arg-type]
    judge.begin((Case(np.ones((2, 2), np.float32)),))
    return judge


QUANTITY = Quantity(np.zeros((2, 2)), np.ones((2, 2)))


def test_right_output_is_noted() -> None:
    """An output within its allowed errors is counted, with its worst ratio."""
    tally = Tally()
    judge(tally).close("y", np.full((2, 2), 0.5, np.float32), QUANTITY)
    assert (tally.elements, tally.worst_ratio, tally.unbounded) == (4, 0.5, 0)


@pytest.mark.parametrize(
    ("actual", "problem"),
    [
        (None, "y is missing"),
        (np.zeros((2, 3), np.float32), r"y is f32\[2,3\]; the case asks for shape \[2, 2\]"),
        (np.full((2, 2), 2.0, np.float32), "y is off"),
        (np.full((2, 2), NAN, np.float32), "y is off"),
    ],
)
def test_wrong_output_breaks_the_law(actual: Any, problem: str) -> None:
    """A missing output, another shape, and values that are off or NaN are told apart."""
    with pytest.raises(Broken, match=problem) as broken:
        judge(Tally()).close("y", actual, QUANTITY)
    assert not np.isnan(broken.value.finding.ulp)


def test_mostly_unbounded_example_is_mistrusted() -> None:
    """An example whose allowed errors are mostly infinite proves nothing, and is counted as such."""
    for unbounded, mistrusted in ((2, 0), (3, 1)):
        tally, allowed = Tally(), np.ones(4)
        allowed[:unbounded] = INF
        one = judge(tally)
        one.close("y", np.zeros((2, 2), np.float32), Quantity(np.zeros((2, 2)), allowed.reshape(2, 2)))
        one.end()
        assert (tally.mistrusted, tally.cases) == (mistrusted, 1)


@pytest.mark.parametrize(("mistrusted", "mostly"), [(0, False), (5, False), (6, True), (10, True)])
def test_mostly_mistrusted_is_more_than_half(mistrusted: int, mostly: bool) -> None:
    """A law is not judged where more than half of its cases could not have failed."""
    assert Tally(cases=10, mistrusted=mistrusted).mostly_mistrusted is mostly


def test_law_that_cannot_fail_is_counted() -> None:
    """A law whose every example is mistrusted ends mostly mistrusted, though nothing broke."""

    def never(judge: Judge, *steps: Case) -> None:
        judge.mistrust()

    tally = Tally()
    law = Law("F1", laws()["F1"].source, never)
    found = search(law, Fixed(), Claims(), tally=tally, settings=settings_for("quick", "cheap"), seed=0)  # type: ignore[arg-type]
    assert found is None
    assert tally.mistrusted == tally.cases > 0
    assert tally.mostly_mistrusted


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [(0.0, 0.0, True), (0.0, -0.0, False), (NAN, -NAN, True), (1.0, 1.0 + 2.0**-23, False), (INF, INF, True)],
)
def test_same_bits(first: float, second: float, equal: bool) -> None:
    """Bits tell signed zeros apart; any two NaN are equal."""
    arrays = [np.array([value], np.float32) for value in (first, second)]
    if equal:
        judge(Tally()).same_bits("y", *arrays, "in two calls")
        return
    with pytest.raises(Broken, match=r"y is .* and .* at \[0\] in two calls"):
        judge(Tally()).same_bits("y", *arrays, "in two calls")


@pytest.mark.parametrize("allowed", [1.0, 1e-9])
def test_last_bits_are_told_from_wrong_values(allowed: float) -> None:
    """Where bits alone differ, the finding says that values are within bounds, and which claim there is."""
    first = np.array([1.0, 2.0], np.float32)
    second = np.nextafter(first, np.float32(4))
    with pytest.raises(Broken) as broken:
        judge(Tally()).related("y", first, second, np.full(2, allowed), "for -x", bitwise=True)
    assert broken.value.finding.problem.startswith("is 1.0 and 1.0000001 at [0] for -x")
    assert broken.value.finding.problem.endswith(BITS_ALONE) == (allowed == 1.0)
    assert "claim bitwise = False" in BITS_ALONE


@pytest.mark.parametrize("second", [np.array([1.0, NAN], np.float32), np.array([1.0, 2.0], np.float64), None])
def test_other_kinds_of_difference_are_no_last_bits(second: Any) -> None:
    """A NaN, another dtype and a missing output have nothing to do with last bits."""
    first = np.array([1.0, 2.0], np.float32)
    with pytest.raises(Broken) as broken:
        judge(Tally()).related("y", first, second, np.ones(2), "for -x", bitwise=True)
    assert "last bits" not in broken.value.finding.problem


def test_kernel_that_is_right_but_for_its_bits_is_told_of_the_claim(tmp_path: Path) -> None:
    """M5 on a correct kernel whose last bit depends on the channel's place names `bitwise`; with the claim it holds."""
    text = starter()
    old = "    invstd = 1 / np.sqrt(variance + eps)\n    xhat = (wide"
    place = "    mean[:1] = np.nextafter(mean[:1], np.inf, dtype=mean.dtype)\n"
    wrong = replaced(text, ((old, place + old),))
    path = tmp_path / "kernel.py"
    path.write_text(wrong)
    broken, _ = search_law(load(str(path)), "M5")
    assert broken is not None
    assert broken.finding.problem.endswith(BITS_ALONE)
    path = tmp_path / "claimed.py"
    path.write_text(replaced(wrong, (("CLAIMS = {", 'CLAIMS = {"bitwise": False, '),)))
    assert search_law(load(str(path)), "M5")[0] is None


def test_grade_is_the_best_that_holds() -> None:
    """The measured grade is the best one at which no ratio passed 1."""
    tally = Tally()
    for grade, worst in (("TT", 3.0), ("NW", 0.5), ("NN", 0.1)):
        tally.note_grade(grade, worst)  # type: ignore[arg-type]
    assert tally.measured_grade == "NW"
    tally.note_grade("NW", 1.5)
    assert tally.measured_grade == "NN"


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_grades_at_once_are_each_alone(dtype: Any, training: bool) -> None:
    """What is expected at every grade shares its values; each has them, and allowed errors, as alone, to the bit."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(30, 1, (5, 3, 4)).astype(DTYPES[dtype]) for _ in range(2))
    vector = rng.uniform(0.5, 2, 3).astype(DTYPES[dtype])
    case, claims = Case(x, dy, vector, -vector, vector, vector, training=training), Claims()
    found = expect_at(GRADES, case, claims)
    for grade, expected in found.items():
        alone = expect(case, replace(claims, grade=grade))
        assert expected.keys() == alone.keys()
        for name, quantity in expected.items():
            np.testing.assert_array_equal(high(quantity.value), high(alone[name].value))
            np.testing.assert_array_equal(quantity.allowed, alone[name].allowed)
    assert (found["NN"]["y"].allowed > found["TT"]["y"].allowed).all() == training
