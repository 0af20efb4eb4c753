"""Bounds on second-order gradients hold for every correct algorithm of their grade, and catch wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from judged_data import DTYPES, channels, parameters
from rounded_algorithms import ALGORITHMS, Algorithm
from rounded_second_order import FORMS, Results, differentiate_twice

from bnconform_reference.certificate import certify_forward
from bnconform_reference.definition import Normalized, forward_training
from bnconform_reference.double_double import Array, distance
from bnconform_reference.error_bounds import training_forward_bounds
from bnconform_reference.precision import DtypeName, Grade, Precision
from bnconform_reference.second_order import Cotangents, SecondOrder, double_backward_training
from bnconform_reference.second_order_bounds import SecondOrderBounds, certify_second_order, second_order_bounds

NAMES = ("ddy", "dx", "dweight")
SIZES = [2, 3, 5, 33, 256, 1000, 10_000]
RATIOS = [0.0, 1.0, 30.0, 1e3, 1e4]
EPS = [0.0, 1e-5, 1e-3, 1.0]
LAST_WITH_ALL_DATA = 1000
TRUST = 1e-3


def data(n: int, ratios: list[float], dtype: DtypeName) -> tuple[Array, Array, Cotangents, Array]:
    """x, dy, cotangents and weight: the hard channels, and ddx from other hard channels in another order."""
    x, dy = channels(n, ratios, dtype)
    _, ddx = channels(n, ratios, dtype, seed=1)
    ddx = np.roll(ddx, 1, axis=0)
    weight, ddweight, ddbias, _ = parameters(len(x))
    return x, dy, Cotangents(ddx, ddweight, ddbias), weight


@dataclass(frozen=True, eq=False)
class Judged:
    """Data and the oracle's values for them."""

    x: Array
    dy: Array
    cotangents: Cotangents
    weight: Array
    eps: float
    forward: Normalized
    exact: SecondOrder

    @classmethod
    def of(cls, x: Array, dy: Array, cotangents: Cotangents, weight: Array, eps: float) -> Judged:
        """Ask the oracle."""
        forward = forward_training(x, weight, np.zeros_like(weight), eps, exact=True)
        exact = double_backward_training(cotangents, dy, weight, forward, exact=True)
        return cls(x, dy, cotangents, weight, eps, forward, exact)

    def allowed(self, precision: Precision) -> SecondOrderBounds:
        """The bounds of an implementation of this precision."""
        bias = np.zeros_like(self.weight)
        bounds = training_forward_bounds(self.x, self.weight, bias, self.eps, self.forward, precision)
        given = (self.x, self.dy, self.weight, self.cotangents, self.forward, self.exact)
        return second_order_bounds(*given, bounds, precision, training=True)

    def ratios(self, results: Results, allowed: SecondOrderBounds) -> dict[str, Array]:
        """Observed over allowed error of every element; 0 where no bound exists."""
        found = {}
        for name in NAMES:
            actual: Any = getattr(results, name).astype(np.float64)
            bound = getattr(allowed, name)
            with np.errstate(invalid="ignore"):
                ratio = distance(actual, getattr(self.exact, name)) / bound
            found[name] = np.where(np.isinf(bound), 0.0, ratio)
        return found


@cache
def hard(n: int, eps: float, dtype: DtypeName = "float32", easy: bool = False) -> Judged:
    """The hard channels judged; every algorithm meets the same."""
    ratios = RATIOS[:3] if easy else RATIOS if n <= LAST_WITH_ALL_DATA else RATIOS[::2]
    return Judged.of(*data(n, ratios, dtype), eps)


def uncentred(grade: Grade) -> Grade:
    """What an algorithm may claim once it sums products of uncentred x: W at best."""
    better: dict[Grade, Grade] = {"TT": "TW", "BT": "BW", "NT": "NW"}
    return better.get(grade, grade)


CLAIMS: dict[Grade, list[tuple[Algorithm, str]]] = {}
"""Algorithms and forms by the grade that they can honestly claim: they share its bounds."""
for _algorithm, _form in product(ALGORITHMS, FORMS):
    _grade = uncentred(_algorithm.grade) if _form == "folded" else _algorithm.grade
    CLAIMS.setdefault(_grade, []).append((_algorithm, _form))


def exceeding(grade: Grade, judged: Judged, dtype: DtypeName = "float32") -> dict[str, float]:
    """The largest observed / allowed of each quantity that exceeds the bound, with who computed it."""
    c = judged.cotangents
    given = (judged.x, judged.dy, c.ddx, c.ddweight, c.ddbias, judged.weight)
    allowed = judged.allowed(Precision.for_dtype(dtype, grade))
    found = {}
    for algorithm, form in CLAIMS[grade]:
        results = differentiate_twice(algorithm, FORMS[form], *given, eps=judged.eps, output=DTYPES[dtype])
        for name, ratio in judged.ratios(results, allowed).items():
            found[f"{name} of {algorithm.name}, {form}"] = float(np.max(ratio))
    return {name: ratio for name, ratio in found.items() if not ratio <= 1}


# Constant channels with eps = 0 overflow and divide by 0, as they must.
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("grade", CLAIMS)
def test_correct_float32_is_within_bounds(grade: Grade, n: int) -> None:
    """No form of a correct algorithm exceeds the bound of its honest grade, on any data."""
    for eps in EPS if n <= LAST_WITH_ALL_DATA else EPS[:2]:
        assert exceeding(grade, hard(n, eps)) == {}, f"eps={eps}"


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("n", [2, 33])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("grade", CLAIMS)
def test_correct_half_types_are_within_bounds(grade: Grade, dtype: DtypeName, n: int) -> None:
    """Nor when rows are stored in a half type around float32 arithmetic."""
    for eps in (1e-3, 1.0):  # results below half's largest number
        assert exceeding(grade, hard(n, eps, dtype, easy=True), dtype) == {}, f"eps={eps}"


Forward = Callable[[Any, Any, Any, float], Any]


def _two_pass(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).square().mean(1, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * weight + bias


def _two_pass_folded(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    mean = x.mean(1, keepdim=True)
    scale = weight * ((x - mean).square().mean(1, keepdim=True) + eps).rsqrt()
    return x * scale + (bias - mean * scale)


def _naive(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    mean = x.mean(1, keepdim=True)
    variance = (x.square().mean(1, keepdim=True) - mean.square()).clamp(min=0)
    return (x - mean) * ((variance + eps).rsqrt() * weight) + bias


DIFFERENTIATED: dict[str, tuple[Forward, Grade]] = {
    "two-pass": (_two_pass, "TT"),
    "two-pass folded": (_two_pass_folded, "TW"),
    "naive": (_naive, "NN"),
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_automatic_differentiation_is_within_bounds(name: str, n: int) -> None:
    """torch's derivative of the derivative of a forward formula in float32 is within the bounds of its grade."""
    torch = pytest.importorskip("torch")
    forward, grade = DIFFERENTIATED[name]

    def tensor(values: Array) -> Any:
        return torch.tensor(values, dtype=torch.float32, requires_grad=True)

    for eps in EPS[1:] if n <= LAST_WITH_ALL_DATA else EPS[1:2]:
        judged = hard(n, eps)
        cotangents = judged.cotangents
        inputs = tensor(judged.x), tensor(judged.weight), tensor(np.zeros_like(judged.weight))
        gradient = tensor(judged.dy)
        first = torch.autograd.grad(forward(*inputs, eps), inputs, gradient, create_graph=True)
        given = [tensor(v).detach() for v in (cotangents.ddx, cotangents.ddweight, cotangents.ddbias)]
        found = torch.autograd.grad(first, [gradient, *inputs[:2]], given)
        results = Results(*(part.numpy() for part in found))
        allowed = judged.allowed(Precision.for_dtype("float32", grade))
        for quantity, ratio in judged.ratios(results, allowed).items():
            assert np.max(ratio) <= 1, f"{quantity}, eps={eps}"


Change = Callable[["Parts"], Results]


class Parts:
    """The parts of the formulas on ordinary data, to leave one out."""

    def __init__(self, n: int, eps: float) -> None:
        rng = np.random.default_rng(n)
        self.x, noise, other = rng.standard_normal((3, 8, n)).astype(np.float32).astype(np.float64)
        # Neither uncorrelated with x nor of mean 0: no term of the formulas is small.
        self.dy, self.ddx = noise + self.x + 0.5, other + self.x + 0.5
        self.weight, self.ddweight, self.ddbias, _ = parameters(8)
        self.invstd = 1 / np.sqrt(self.x.var(axis=-1, keepdims=True) + eps)
        self.xhat = (self.x - self.x.mean(axis=-1, keepdims=True)) * self.invstd
        self.a = np.mean(self.ddx * self.xhat, axis=-1, keepdims=True)
        self.b = np.mean(self.dy * self.xhat, axis=-1, keepdims=True)
        self.cotangents = Cotangents(self.ddx, self.ddweight, self.ddbias)
        forward = forward_training(self.x, self.weight, np.zeros_like(self.weight), eps)
        found = double_backward_training(self.cotangents, self.dy, self.weight, forward)
        self.right = Results(*(np.asarray(getattr(found, name)) for name in NAMES))


def without_xhat_term_in_ddy(p: Parts) -> Results:
    """ddy without weight invstd xhat a."""
    return replace(p.right, ddy=p.right.ddy + p.weight * p.invstd * p.xhat * p.a)


def without_weight_in_ddy(p: Parts) -> Results:
    """ddy without ddweight xhat."""
    return replace(p.right, ddy=p.right.ddy - p.ddweight * p.xhat)


def with_uncentred_ddx(p: Parts) -> Results:
    """b ddx in dx where b (ddx - mean(ddx)) is due: the mean inside the variance taken as a constant."""
    lost = p.weight * p.invstd**2 * p.b * p.ddx.mean(axis=-1, keepdims=True)
    return replace(p.right, dx=p.right.dx - lost)


def with_two_products(p: Parts) -> Results:
    """c - 2 a b in dx where c - 3 a b is due."""
    return replace(p.right, dx=p.right.dx - p.weight * p.invstd**2 * p.xhat * p.a * p.b)


def without_weight_in_dx(p: Parts) -> Results:
    """dx without what dweight contributes."""
    first = p.dy - p.dy.mean(axis=-1, keepdims=True) - p.xhat * p.b
    return replace(p.right, dx=p.right.dx - p.ddweight * p.invstd * first)


def without_product_in_dweight(p: Parts) -> Results:
    """dweight without n invstd a b."""
    return replace(p.right, dweight=p.right.dweight + p.x.shape[-1] * p.invstd * p.a * p.b)


FAULTS = [
    (without_xhat_term_in_ddy, "ddy"),
    (without_weight_in_ddy, "ddy"),
    (with_uncentred_ddx, "dx"),
    (with_two_products, "dx"),
    (without_weight_in_dx, "dx"),
    (without_product_in_dweight, "dweight"),
]


@pytest.mark.parametrize("n", [4, 64, 256])
@pytest.mark.parametrize(("fault", "quantity"), [pytest.param(*f, id=f[0].__name__) for f in FAULTS])
def test_fault_exceeds_even_the_loosest_bound(fault: Change, quantity: str, n: int) -> None:
    """A dropped term is out of bounds on every channel of ordinary data, and nothing else is."""
    eps = 1e-3
    parts = Parts(n, eps)
    judged = Judged.of(parts.x, parts.dy, parts.cotangents, parts.weight, eps)
    found = judged.ratios(fault(parts), judged.allowed(Precision.for_dtype("float32", "NN")))
    for name, ratio in found.items():
        if name == quantity:
            assert np.all(np.max(ratio, axis=-1) > 1)
        else:
            assert np.all(ratio <= 1), name


@pytest.mark.parametrize("n", [2, 33, 1000])
def test_oracle_is_certified_far_below_the_tightest_float64_bound(n: int) -> None:
    """On hard channels the double-double oracle errs by less than a thousandth of what float64 at TT is allowed."""
    for eps in EPS[1:]:
        judged = hard(n, eps)
        x, weight, forward = judged.x, judged.weight, judged.forward
        allowed = judged.allowed(Precision.for_dtype("float64", "TT"))
        given = (x, judged.dy, weight, judged.cotangents, forward)
        certificate = certify_forward(x, weight, np.zeros_like(weight), eps, forward, training=True)
        certified = certify_second_order(*given, certificate, training=True)
        for name in NAMES:
            assert np.all(getattr(certified, name) <= TRUST * getattr(allowed, name)), name


@pytest.mark.parametrize("special", [None, np.nan, np.inf, 1e200])
@pytest.mark.parametrize("grade", ["TT", "NW", "NN"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_bounds_are_never_nan(special: float | None, grade: Grade, training: bool) -> None:
    """Where nothing can be said, a bound is infinite: NaN would fail every comparison. Nothing warns either."""
    x, dy, cotangents, weight = data(5, [0.0, 1e6], "float32")
    if special is not None:
        x[:, 2] = special
    bias = np.zeros_like(weight)
    for eps in (0.0, 1e-5):
        forward = forward_training(x, weight, bias, eps)
        exact = double_backward_training(cotangents, dy, weight, forward)
        precision = Precision.for_dtype("float32", grade)
        bounds = training_forward_bounds(x, weight, bias, eps, forward, precision)
        allowed = second_order_bounds(x, dy, weight, cotangents, forward, exact, bounds, precision, training=training)
        for name in NAMES:
            assert np.all(getattr(allowed, name) >= 0), name


def test_nothing_is_said_where_uncentred_sums_may_overflow() -> None:
    """With E[x^2] - E[x]^2, a lost variance beside a tiny eps leaves float32 on the way; other channels stay judged."""
    x = np.array([[1.0, 2.0, 4.0], [4.0963e7, 4.0968e7, 4.0971e7]])
    ones = np.ones_like(x)
    one = Judged.of(
        x, ones * [1.0, -0.5, 2.0], Cotangents(ones * [0.5, 2.0, -1.0], *2 * [ones[:, :1]]), ones[:, :1], 1e-12
    )
    for grade, told in (("NN", [True, False]), ("NT", [True, True])):
        found = one.allowed(Precision.for_dtype("float32", grade))
        assert np.isfinite(found.dx).all(axis=1).tolist() == told
