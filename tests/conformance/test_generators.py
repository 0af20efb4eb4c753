"""What is drawn: always valid, always the same for the same choices, and of every kind that bugs hide in."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from suite_runs import SEED, judge, laws

from bnconform.cases.build import build, ratios
from bnconform.cases.case_file import same
from bnconform.cases.recipe import Recipe
from bnconform.cases.regimes import IMAGES, digit_images
from bnconform.cases.spaces import TRAINING, TRAINING_GRADIENTS
from bnconform.cases.strategies import POOL_SIZE, recipes, signature_pool
from bnconform.judging.histories import Histories
from bnconform.running.profiles import settings_for
from bnconform_adapters.claims import Claims, Cost, Layout, Mode
from bnconform_adapters.contract import DTYPES, Case, Finish, Layer, parameter_dtype
from bnconform_adapters.plain.calling import place, surroundings
from bnconform_adapters.registry import load
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.precision import UNIT_ROUNDOFF

EVERY_DTYPE: Any = tuple(DTYPES)
BOTH: tuple[Mode, ...] = ("training", "inference")
VARIETY = {
    "every dtype": Claims(dtypes=EVERY_DTYPE, eps_min=0.0, second_order=BOTH, forward_mode=BOTH),
    "little": Claims(
        dtypes=("float32", "float16"), ranks=(4, 5), layouts=("contiguous",), parameters=("both",), momentum_min=0.1
    ),
    "compiled": Claims(
        dtypes=EVERY_DTYPE,
        layouts=("contiguous",),
        second_order=("training",),
        forward_mode=("inference",),
        cost="compiles per shape",
    ),
}
# Laws that draw from the same source draw the same cases.
SOURCES = {repr(law.source): id for id, law in laws().items() if not isinstance(law.source, Histories)}.values()
LEAST = 1 / 50
"""The least share of draws that a kind may have."""
DRAWS = 1000
SEVERAL = 3


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """That many draws as a law gets them, all of Hypothesis' health checks included."""
    found: list[Any] = []
    settings = hypothesis.settings(settings_for("default", "cheap"), max_examples=count)

    def keep(value: Any) -> None:
        found.append(value)

    hypothesis.seed(SEED)(settings(hypothesis.given(strategy)(keep)))()
    return found


@pytest.mark.parametrize("kind", VARIETY)
@pytest.mark.parametrize("id", SOURCES)
def test_every_draw_is_a_valid_case(id: str, kind: str) -> None:
    """Whatever is claimed, each law draws cases that stay inside the claims."""
    claims, source = VARIETY[kind], laws()[id].source
    if source.why_not(claims):
        pytest.skip("not claimed")
    assert not isinstance(source, Histories)
    for steps in drawn(source.strategy(claims, signature_pool(claims, SEED)), 20):
        for case in steps:
            check(case, claims)


class Spy:
    """The reference as an implementation, with what it was called with."""

    name = "spy"

    def __init__(self, cost: Cost) -> None:
        self._reference = load("reference")
        self.claims = replace(self._reference.claims, cost=cost)
        self.calls: list[Case] = []

    def layer(self, case: Case) -> Layer:
        """The reference's layer; what it refuses counts too."""
        built = self._reference.layer(case)

        def step(case: Case) -> Finish:
            self.calls.append(case)
            return built(case)

        return step


@pytest.mark.parametrize("cost", ["cheap", "compiles per shape"])
def test_histories_hold_every_kind_of_call(cost: Cost) -> None:
    """Histories train, infer, load, reset, train on nothing and are refused, each several times."""
    spy = Spy(cost)
    broken, _ = judge(spy, "S11")
    assert broken is None
    kinds = {
        "training": [case for case in spy.calls if case.training],
        "inference": [case for case in spy.calls if not case.training],
        "nothing": [case for case in spy.calls if not case.values_per_channel],
        "refused": [case for case in spy.calls if case.weight is not None and case.weight.size != case.channels],
        "loaded": [case for case in spy.calls if case.before == "load"],
        "reset": [case for case in spy.calls if case.before == "reset"],
    }
    assert {kind: len(cases) for kind, cases in kinds.items() if len(cases) < SEVERAL} == {}
    for case in kinds["loaded"]:
        check(case, spy.claims)


def check(case: Case, claims: Claims) -> None:
    """A case has the claimed dtype, rank, layouts and parameters, finite values, and arrays that fit together."""
    assert case.dtype in claims.dtypes
    assert case.x.ndim in claims.ranks
    assert case.layout in claims.layouts
    assert case.eps >= claims.eps_min
    assert case.momentum is None or case.momentum >= claims.momentum_min
    assert np.isfinite(case.x.astype(np.float64)).all()
    assert case.x.flags.c_contiguous
    present = {"weight": case.weight is not None, "bias": case.bias is not None}
    named = {(True, True): "both", (True, False): "weight", (False, True): "bias", (False, False): "neither"}
    assert named[present["weight"], present["bias"]] in claims.parameters
    for array in (case.weight, case.bias, case.running_mean, case.running_var):
        if array is not None:
            assert (array.shape, array.dtype.name) == ((case.channels,), parameter_dtype(case.dtype))
            assert np.isfinite(array).all()
    if case.dy is not None:
        assert (case.dy.shape, case.dy.dtype) == (case.x.shape, case.x.dtype)
        assert case.dy_layout in claims.layouts
        place(case.dy, case.dy_layout)  # refuses what cannot lie so
    for vector, like in ((case.ddx, case.x), (case.ddweight, case.weight), (case.ddbias, case.bias)):
        if vector is not None:
            assert like is not None
            assert (vector.shape, vector.dtype) == (like.shape, like.dtype)
    place(case.x, case.layout)


def arrays(case: Case) -> list[Any]:
    """The arrays of a case."""
    vectors = [case.ddx, case.ddweight, case.ddbias]
    return [case.x, case.dy, case.weight, case.bias, case.running_mean, case.running_var, *vectors]


def test_scalars_held_in_float32_are_exact_there() -> None:
    """Where eps and momentum are float32, every one that is drawn is, and so is what momentum leaves of 1."""
    claims = Claims(dtypes=("float64",), float32_scalars=True)
    for law in laws().values():
        if isinstance(law.source, Histories) or law.source.why_not(claims) is not None:
            continue
        for steps in drawn(law.source.strategy(claims, ()), SEVERAL):
            for case in steps:
                shares = (case.eps, *((case.momentum, 1 - case.momentum) if case.training and case.momentum else ()))
                assert [float(np.float32(share)) for share in shares] == list(shares)


def test_equal_recipes_give_equal_cases() -> None:
    """A recipe gives the same bits every time; another salt gives other values."""
    every = VARIETY["every dtype"]
    for recipe in drawn(recipes(TRAINING_GRADIENTS, every, ()), 100):
        first, second = build(recipe), build(replace(recipe))
        assert all(same(a, b) for a, b in zip(arrays(first), arrays(second), strict=True))
        assert first.origin == second.origin
    ordinary = Recipe(shape=(4, 3))
    assert not same(build(ordinary).x, build(replace(ordinary, salt=1)).x)


@pytest.mark.parametrize("id", ["G10", "G11"])
def test_second_order_always_contracts_with_something(id: str) -> None:
    """Every case of second order or forward mode has ddx or ddweight that is not 0, and all three are drawn."""
    claims, seen = VARIETY["every dtype"], set()
    for (case,) in drawn(laws()[id].source.strategy(claims, ()), 200):
        present = {name for name in ("ddx", "ddweight", "ddbias") if getattr(case, name) is not None}
        assert present & {"ddx", "ddweight"}
        seen.add(frozenset(present))
    assert {frozenset({"ddx"}), frozenset({"ddweight"}), frozenset({"ddx", "ddweight", "ddbias"})} <= seen


def test_cotangents_leave_other_cases_as_they_were() -> None:
    """A recipe without cotangents has the seed of one that knows of none, so that reported cases stay the same."""
    recipe = Recipe(shape=(4, 3))
    assert "cotangents" not in repr(recipe)
    assert recipe.seed() == replace(recipe, cotangents="absent").seed() != replace(recipe, cotangents="all").seed()


@pytest.mark.parametrize("values", ["normal", "sorted"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_over_sd_is_what_was_asked(values: str, dtype: Any) -> None:
    """On long channels |mean|/sd lies between a half and the whole of what was asked, but for sampling and rounding.

    The shift is drawn from [1/2, 1] times the ratio; the sd of n normal values is 1 within 5 / sqrt(2 n), and their
    mean 0 within 5 / sqrt(n); rounding to dtype moves each value by at most u (|mean| + 6 sd).
    """
    n = 4097
    for ratio in ratios(dtype):
        recipe = Recipe(shape=(n, 4), dtype=dtype, values=values, ratio=ratio, precise=True)
        rows = channel_rows(build(recipe).x)
        measured = np.abs(rows.mean(axis=1)) / rows.std(axis=1)
        sampling, rounding = 5 / n**0.5, UNIT_ROUNDOFF[dtype] * (ratio + 6)
        slack = (1 + ratio) * (sampling + rounding)
        assert (measured >= ratio / 2 - slack).all()
        assert (measured <= ratio + slack).all()


def test_readable_values_are_quarters() -> None:
    """What is not precise is in quarters, so that a printed case can be copied."""
    x = build(Recipe(shape=(5, 2), ratio=0.0)).x
    assert (x * 4 == np.round(x * 4)).all()


SHAPES = [(3, 2), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 3, 2), (1, 1, 1)]


def strides(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """Strides in elements that a layout stands for."""
    order: list[int] = list(range(len(shape)))
    if layout == "channels_last":
        order = [0, *range(2, len(shape)), 1]
    elif layout == "transposed":
        order = [1, 0, *range(2, len(shape))]
    step, found = 2 if layout == "sliced" else 1, [0] * len(shape)
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return tuple(found)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "sliced"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_has_its_strides_and_equal_values(shape: tuple[int, ...], layout: Layout, dtype: Any) -> None:
    """A layout places the same values at the strides that it stands for, apart from the given array's memory."""
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape).astype(DTYPES[dtype])
    placed = place(array, layout)
    assert same(np.ascontiguousarray(placed), array)
    assert not np.shares_memory(placed, array)
    expected = strides(shape, layout)
    for axis, size in enumerate(shape):
        assert size == 1 or placed.strides[axis] == expected[axis] * array.itemsize, axis


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sliced_layout_has_nan_between_elements(shape: tuple[int, ...]) -> None:
    """What lies between and around the elements of a slice is NaN, so that a read outside shows."""
    memory, _ = surroundings(place(np.ones(shape, np.float32), "sliced"))
    count = int(np.prod(shape))
    assert np.isnan(memory).sum() == memory.size - count
    flat = np.flatnonzero(~np.isnan(memory))
    assert (np.diff(flat) >= 2).all()
    assert flat[0] > 0
    assert flat[-1] < memory.size - 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_expanded_layout_has_stride_0(shape: tuple[int, ...]) -> None:
    """An expanded array has one sample in memory; one that varies along the batch is refused."""
    sample = np.arange(np.prod(shape[1:]), dtype=np.float32).reshape(1, *shape[1:])
    placed = place(np.ascontiguousarray(np.broadcast_to(sample, shape)), "expanded")
    assert placed.strides[0] == 0 or shape[0] == 1
    assert same(np.ascontiguousarray(placed[:1]), sample)
    if shape[0] > 1:
        with pytest.raises(ValueError, match="equal values along axis 0"):
            place(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), "expanded")


def test_digits_are_scikit_learns() -> None:
    """The bundled images are the first of scikit-learn's digits set."""
    datasets = pytest.importorskip("sklearn.datasets")
    assert (digit_images() == datasets.load_digits().images[:IMAGES]).all()


@pytest.mark.parametrize("shape", [(20, 3), (4, 3, 5, 5), (2, 3, 70)], ids=str)
def test_digits_are_real_in_every_rank(shape: tuple[int, ...]) -> None:
    """Activations of the digits have the shape asked for, and no constant channel."""
    x = build(Recipe(shape=shape, values="digits")).x
    assert x.shape == shape
    assert (channel_rows(x).std(axis=1) > 0).all()


@pytest.mark.parametrize("id", ["F1", "G1"])
def test_every_kind_is_drawn_often_enough(id: str) -> None:
    """Each dtype, rank, layout, regime, size and choice of parameters is a fair share of what F1 and G1 draw."""
    claims = VARIETY["every dtype"]
    space = TRAINING if id == "F1" else TRAINING_GRADIENTS
    found: list[Recipe] = drawn(recipes(space, claims, ()), DRAWS)
    counted: Counter[str] = Counter()
    for recipe in found:
        counted[recipe.dtype] += 1
        counted[f"rank {len(recipe.shape)}"] += 1
        counted[f"parameters {recipe.parameters}"] += 1
        counted[f"layout {recipe.layout}"] += 1
        counted[f"values {recipe.values}"] += 1
        counted[f"spread {recipe.spread}"] += 1
        counted["many channels"] += recipe.channels > 8
        counted["long channels"] += recipe.values_per_channel > 30
        counted["few values"] += recipe.values_per_channel <= 8
        counted["ratio of 100 and more"] += recipe.ratio >= 100
        counted["precise"] += recipe.precise
        counted["expanded dy"] += recipe.dy_layout == "expanded"
    kinds = {*EVERY_DTYPE, "many channels", "long channels", "few values", "ratio of 100 and more", "precise"}
    kinds |= {f"rank {rank}" for rank in claims.ranks} | {f"parameters {p}" for p in claims.parameters}
    kinds |= {f"layout {layout}" for layout in claims.layouts if layout not in ("expanded", "far")}  # constant; X6 only
    kinds |= {f"values {values}" for values in space.values} | {f"spread {spread}" for spread in space.spreads}
    kinds |= {"expanded dy"} if id == "G1" else set()
    seldom = {kind: counted[kind] / len(found) for kind in kinds if counted[kind] < LEAST * len(found)}
    assert not seldom


def test_histories_of_many_seeds_leave_one_state_machine() -> None:
    """Hypothesis keeps every class of state machines; a long run must not make one for each seed."""
    judge(Spy("cheap"), "S11", seed=0, profile="quick")
    before = RuleBasedStateMachine.__subclasses__()
    for seed in (1, 2):
        judge(Spy("cheap"), "S11", seed=seed, profile="quick")
    gc.collect()
    assert RuleBasedStateMachine.__subclasses__() == before


def test_pool_has_every_dtype_rank_and_choice_of_parameters() -> None:
    """The few signatures of a compiled implementation hold every claimed dtype, rank and choice of parameters."""
    claims = VARIETY["compiled"]
    for seed in range(0, 500, 100):
        pool = signature_pool(claims, seed)
        assert {signature.dtype for signature in pool} == set(claims.dtypes)
        assert {len(signature.shape) for signature in pool} == set(claims.ranks)
        assert {signature.parameters for signature in pool} == set(claims.parameters)
    assert signature_pool(Claims(), 0) == ()
    assert signature_pool(claims, 0) == signature_pool(claims, 0)


def test_neighbouring_seeds_share_a_pool_and_no_values() -> None:
    """A hundred seeds of a compiled implementation reuse the same few programs; their values differ."""
    claims = VARIETY["compiled"]
    assert {signature_pool(claims, seed) for seed in range(300, 400)} == {signature_pool(claims, 300)}
    assert signature_pool(claims, 400) != signature_pool(claims, 399)
    signatures, values = set(), list[set[bytes]]()
    for seed in range(300, 306):
        spy = Spy("compiles per shape")
        judge(spy, "F1", seed=seed)
        signatures |= {(case.x.shape, case.dtype, case.weight is None, case.bias is None) for case in spy.calls}
        values.append({case.x.tobytes() for case in spy.calls})
    assert len(signatures) <= POOL_SIZE
    assert len(set().union(*values)) > 0.9 * sum(map(len, values))
