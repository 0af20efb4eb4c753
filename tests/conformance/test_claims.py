"""What each bundled adapter claims, held against the framework itself, called without the adapter."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plain_layers import PLAIN
from plain_step import Plain
from suite_runs import APART, is_elsewhere, run_apart

from bnconform import ledger
from bnconform_adapters.contract import DTYPES, Claims
from bnconform_adapters.registry import REGISTRY, create, find

MOMENTUM = 0.25
PARAMETERS = ("both", "weight", "bias", "neither")


UNTRAINED = ("equinox.ema",)
"""Those whose training is another layer than batch norm, and is not claimed."""
HERE = [plain for plain in PLAIN if not is_elsewhere(plain.name)]


@pytest.fixture(params=[plain for plain in HERE if plain.name not in UNTRAINED], ids=lambda plain: plain.name)
def plain(request: pytest.FixtureRequest) -> Plain:
    """Each framework's layer that claims training, where it is installed."""
    layer: Plain = request.param
    need(layer.name)
    return layer


def need(name: str) -> None:
    """Skip where an implementation is not installed."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")


@pytest.mark.parametrize("name", APART)
def test_those_apart_are_as_claimed(name: str, tmp_path: Path) -> None:
    """What needs variables of its own is held against its framework in a process that has them."""
    need(name)
    done = run_apart(__file__, name, tmp_path)
    assert (done.status, " passed" in done.out) == (0, True), done.out


def claims_of(plain: Plain) -> Claims:
    """What the adapter claims."""
    return create(find(plain.name)).claims


def array(values: list[list[float]], dtype: Any = "float32") -> np.ndarray:
    """x of shape (n, C)."""
    return np.array(values, DTYPES[dtype]).reshape(-1, 1)


def blended(claims: Claims, batch: float, old: float) -> float:
    """The running statistic after a new layer's first step: exact in float32 for the numbers used here."""
    if claims.dialect.debiased:
        return batch
    new = MOMENTUM if claims.dialect.momentum_weighs == "new" else 1 - MOMENTUM
    return (1 - new) * old + new * batch


def test_every_framework_adapter_is_held_against_its_framework() -> None:
    """No implementation of a framework is left out of this module."""
    own = {"reference", "fused_triton", "fused.triton", "triton"}
    frameworks = {entry.name for entry in REGISTRY if not own & {entry.name, *entry.name.split(".")}}
    assert {plain.name for plain in PLAIN} == {name for name in frameworks if not name.startswith("bnconform")}
    assert tuple(plain.name for plain in HERE if "training" not in claims_of(plain).modes) == UNTRAINED


def test_default_eps_and_momentum(plain: Plain) -> None:
    """The claimed defaults are those of the framework's own signature."""
    claims = claims_of(plain)
    assert plain.defaults() == (claims.default_eps, claims.default_momentum)


def test_momentum_sense_and_stored_variance(plain: Plain) -> None:
    """On the values 0 and 4 the stored mean and variance are what the claimed sense and divisor make of them."""
    claims = claims_of(plain)
    step = plain.step(array([[0.0], [4.0]]), MOMENTUM)
    variance = {"unbiased": 8.0, "biased": 4.0}[claims.dialect.stored_variance]
    assert step.mean.tolist() == [blended(claims, 2.0, claims.dialect.initial_mean)]
    as_claimed = step.var.tolist() == [blended(claims, variance, claims.dialect.initial_variance)]
    assert as_claimed != is_biased_at_first(plain)


def is_biased_at_first(plain: Plain) -> bool:
    """Whether the ledger knows that the first steps of a layer that debiases are not debiased."""
    return claims_of(plain).dialect.debiased and ledger.find(plain.name, "S11") is not None


def test_one_value_per_channel(plain: Plain) -> None:
    """Training on one value raises, or gives bias and blends in a variance of 0, as claimed."""
    claims = claims_of(plain)
    if claims.dialect.one_value == "raises":
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            plain.step(array([[3.0]]), MOMENTUM)
        return
    step = plain.step(array([[3.0]]), MOMENTUM)
    assert step.y.tolist() == [[0.0]]
    assert step.mean.tolist() == [blended(claims, 3.0, 0.0)]
    assert (step.var.tolist() == [blended(claims, 0.0, 1.0)]) != is_biased_at_first(plain)


def test_empty_batch(plain: Plain) -> None:
    """Training on no value leaves the statistics alone, as claimed, or the ledger knows better."""
    claims = claims_of(plain)
    assert claims.dialect.empty_batch == "keeps"
    step = plain.step(array([]), MOMENTUM)
    initial = [claims.dialect.initial_mean], [claims.dialect.initial_variance]
    kept = (step.mean.tolist(), step.var.tolist()) == initial
    assert step.y.shape == (0, 1)
    for id in ("S9", "X3"):
        assert kept == (ledger.find(plain.name, id) is None)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_absent_parameters(plain: Plain, parameters: str) -> None:
    """The framework offers each claimed choice of weight and bias, and none that is not claimed."""
    x = array([[0.0], [4.0]])
    if parameters in claims_of(plain).parameters:
        assert plain.step(x, MOMENTUM, parameters).y.shape == x.shape
        return
    with pytest.raises(Exception):  # noqa: B017, PT011 - each framework refuses in its own way
        plain.step(x, MOMENTUM, parameters)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(plain: Plain, dtype: Any) -> None:
    """A claimed dtype of x comes back in y, with statistics of the parameters' dtype; no other does both."""
    x, kept = array([[0.0], [4.0]], dtype), False
    wanted = (x.dtype, np.dtype(np.float64 if dtype == "float64" else np.float32))
    if dtype in claims_of(plain).dtypes:
        step = plain.step(x, MOMENTUM)
        assert (step.y.dtype, step.var.dtype) == wanted
        return
    with suppress(Exception):  # each framework refuses in its own way
        step = plain.step(x, MOMENTUM)
        kept = (step.y.dtype, step.var.dtype) == wanted
    assert not kept


@pytest.mark.parametrize("mode", ["ema", "legacy"])
def test_equinox_ema_is_another_layer_in_training(mode: str) -> None:
    """Its second step is normalized by the running statistics, and legacy is the same: neither is claimed."""
    equinox, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")
    claims = create(find("equinox.ema")).claims
    assert claims.modes == ("inference",)
    assert (claims.default_eps, claims.default_momentum) == next(p for p in PLAIN if p.name == "equinox.ema").defaults()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(1, "batch", momentum=0.5, mode=mode)
    step = jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    first, state = step(array([[0.0], [4.0]]), state)
    second, state = step(array([[8.0], [12.0]]), state)
    assert layer.mode == "ema"
    assert first.sum() == 0.0
    assert second.sum() > 1.0  # running_mean is 6 then, the batch's 10


@pytest.mark.parametrize("name", ["haiku", "equinox.batch"])
def test_smallest_momentum_is_not_0(name: str) -> None:
    """Where a batch of weight 0 makes the statistics NaN, a smallest weight is claimed, which works."""
    need(name)
    claims = create(find(name)).claims
    plain = next(plain for plain in PLAIN if plain.name == name)
    x = array([[0.0], [4.0]])
    assert claims.momentum_min > 0
    assert np.isnan(plain.step(x, 1.0).mean).all()
    assert np.isfinite(plain.step(x, 1 - claims.momentum_min).mean).all()


def test_torch_averages_with_momentum_none() -> None:
    """torch claims momentum None for its modules: two batches count alike."""
    torch = pytest.importorskip("torch")
    assert create(find("torch")).claims.dialect.cumulative
    layer = torch.nn.BatchNorm1d(1, momentum=None)
    for value in (0.0, 2.0):
        layer(torch.tensor([[value], [value + 4]]))
    assert layer.running_mean.tolist() == [3.0]
    assert layer.running_var.tolist() == [8.0]


def test_momentum_none_is_refused_where_it_is_not_claimed(plain: Plain) -> None:
    """Where momentum None is not claimed, the framework takes no None."""
    if claims_of(plain).dialect.cumulative:
        return
    if plain.name == "tf.fused":  # reads None as 1: a function has no count of batches to average over
        x = array([[0.0], [4.0]])
        assert plain.step(x, None).var.tolist() == plain.step(x, 1.0).var.tolist()
        return
    with pytest.raises(Exception):  # noqa: B017, PT011 - each framework refuses in its own way
        plain.step(array([[0.0], [4.0]]), None)
