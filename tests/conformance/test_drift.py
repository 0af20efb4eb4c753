"""Running statistics over many steps: what is expected, what is allowed, and what that tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from bnconform.cases.fixed_cases import Handed, fixed_case
from bnconform.judging.drift import trajectory
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import AnyArray, Case
from bnconform_reference.dialect import FLAX, HAIKU, PYTORCH, Dialect
from bnconform_reference.double_double import DoubleDouble, distance, high
from bnconform_reference.precision import DtypeName

STEPS = 200
STATISTICS = ("running_mean", "running_var")


def steps_of(dtype: DtypeName, dialect: Dialect = PYTORCH, number: int = STEPS) -> tuple[Case, ...]:
    """The fixed batches of drift."""
    return fixed_case("drift", number, Handed.to(claims_of(dtype, dialect)))


def claims_of(dtype: DtypeName, dialect: Dialect = PYTORCH) -> Claims:
    """Of an implementation of one dtype."""
    return Claims(dtypes=(dtype,), dialect=dialect, grade="NW")


def exact_statistics(steps: Sequence[Case], dialect: Dialect) -> tuple[list[Fraction], list[Fraction]]:
    """Running mean and variance after the steps, without any rounding, by their definition."""
    m = Fraction(float(steps[0].momentum or 0))
    means = [Fraction(dialect.initial_mean)] * 3
    variances = [Fraction(dialect.initial_variance)] * 3
    for seen, case in enumerate(steps, 1):
        rows = case.x.astype(np.float64).reshape(case.x.shape[0], 3).T
        weight = m / (1 - (1 - m) ** seen) if dialect.debiased else m
        for c, row in enumerate(rows):
            values = [Fraction(float(v)) for v in row]
            n, mean = len(values), sum(values) / len(values)
            divisor = n - 1 if dialect.stored_variance == "unbiased" else n
            variance = sum((v - mean) ** 2 for v in values) / divisor
            means[c] += weight * (mean - means[c])
            variances[c] += weight * (variance - variances[c])
    return means, variances


@pytest.mark.parametrize("dialect", [PYTORCH, FLAX, HAIKU], ids=["pytorch", "flax", "haiku"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expected_statistics_are_those_of_exact_arithmetic(dtype: DtypeName, dialect: Dialect) -> None:
    """After 40 steps the oracle is a thousandth of the allowed error from rational arithmetic, or less."""
    steps = steps_of(dtype, dialect, 40)
    *_, last = trajectory(steps, claims_of(dtype, dialect))
    for name, exact in zip(STATISTICS, exact_statistics(steps, dialect), strict=True):
        value = last[name].value
        for c in range(3):
            parts = (value.hi[c], value.lo[c]) if isinstance(value, DoubleDouble) else (value[c],)
            error = abs(sum(Fraction(float(part)) for part in parts) - exact[c])
            assert error <= Fraction(float(last[name].allowed[c])) / 1000


def torch_statistics(steps: Sequence[Case]) -> list[dict[str, AnyArray]]:
    """What torch's layer holds after each step."""
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(
        3, eps=steps[0].eps, momentum=steps[0].momentum, dtype=torch.from_numpy(steps[0].x).dtype
    )
    held = []
    for case in steps:
        layer(torch.from_numpy(case.x.copy()))
        held.append({name: getattr(layer, name).numpy().copy() for name in STATISTICS})
    return held


def ratios(steps: Sequence[Case], held: Sequence[dict[str, AnyArray]], dtype: DtypeName) -> list[float]:
    """The worst error after each step, as a multiple of the allowed one."""
    expected = trajectory(steps, claims_of(dtype))
    return [
        max(float((distance(own[n].astype(np.float64), e[n].value) / e[n].allowed).max()) for n in STATISTICS)
        for own, e in zip(held, expected, strict=True)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_stays_within_the_allowed_error(dtype: DtypeName) -> None:
    """torch's statistics are within the allowed error of the oracle's after each of 200 steps, and round somewhere."""
    steps = steps_of(dtype)
    found = ratios(steps, torch_statistics(steps), dtype)
    assert 0 < max(found) <= 1


def test_allowed_error_does_not_grow_without_end() -> None:
    """Old errors fade as old batches do: what is allowed stays below the allowed error of 1 / momentum steps."""
    allowed = [one["running_mean"].allowed.max() for one in trajectory(steps_of("float32"), claims_of("float32"))]
    assert allowed[-1] < 1.2 * allowed[99]
    assert allowed[-1] < 10.5 * max(b - 0.9 * a for a, b in pairwise(allowed))


@pytest.mark.parametrize(
    ("fault", "above"),
    [
        pytest.param(lambda value: value.astype(np.float16).astype(np.float32), 10, id="half between steps"),
        pytest.param(lambda value: value * np.float32(1 - 1e-5), 2, id="fades by a hundred-thousandth"),
    ],
)
def test_what_drifts_is_seen(fault: object, above: float) -> None:
    """Statistics that are spoilt a little at every step leave what is allowed."""
    steps = steps_of("float32")
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(3, momentum=steps[0].momentum)
    held = []
    for case in steps:
        layer(torch.from_numpy(case.x.copy()))
        for name in STATISTICS:
            getattr(layer, name).copy_(torch.from_numpy(fault(getattr(layer, name).numpy())))  # type: ignore[operator]
        held.append({name: getattr(layer, name).numpy().copy() for name in STATISTICS})
    assert max(ratios(steps, held, "float32")) > above


def test_fewer_steps_are_the_first_of_more() -> None:
    """The batches do not depend on how many are asked for, so that points of one curve are of one training."""
    some, all_of_them = steps_of("float32", number=5), steps_of("float32")
    assert all((a.x == b.x).all() for a, b in zip(some, all_of_them, strict=False))
    assert replace(some[0], origin="").before == "reset"
    assert high(some[0].x.astype(np.float64)).std() > 0.5
