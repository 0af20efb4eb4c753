"""What each bundled adapter claims, held against the framework itself, called without the adapter."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import plain_runtimes
import plain_torch_variants
import pytest
from plain_layers import PLAIN as LAYERS
from plain_step import Plain
from suite_runs import names_here, of_this_process

from bnconform.deviations import ledger
from bnconform_adapters.claim_rules import contradictions
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import DTYPES
from bnconform_adapters.layer_defaults import layer_defaults
from bnconform_adapters.registry import REGISTRY, create, find

MOMENTUM = 0.25
PARAMETERS = ("both", "weight", "bias", "neither")
PLAIN = {plain.name: plain for plain in (*LAYERS, *plain_torch_variants.PLAIN, *plain_runtimes.PLAIN)}
HERE = [PLAIN[name] for name in names_here(PLAIN)]
NONE_AS_DEFAULT = ("tf.fused", "onnx.reference.14", "onnx.reference.15", "onnxruntime", "onnxruntime.exported")
"""Functions, which have no count of batches to average over, and read momentum None as not given."""


UNTRAINED = ("equinox.ema",)
"""Those whose training is another layer than batch norm, and is not claimed."""
NARROWED = ("torch.compile",)
"""Those that offer more than they claim: every choice takes seconds to compile."""


@pytest.fixture(params=[plain for plain in HERE if plain.name not in UNTRAINED], ids=lambda plain: plain.name)
def plain(request: pytest.FixtureRequest) -> Plain:
    """Each framework's layer, where it is installed."""
    return installed(request.param)


@pytest.fixture(
    params=[plain for plain in HERE if plain.step and plain.name not in UNTRAINED], ids=lambda plain: plain.name
)
def trained(request: pytest.FixtureRequest) -> Plain:
    """Each framework's layer that trains, where it is installed."""
    return installed(request.param)


def installed(layer: Plain) -> Plain:
    """The layer, if its framework is there."""
    need(layer.name)
    return layer


def need(name: str) -> None:
    """Skip where an implementation is not installed."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")


def claims_of(plain: Plain) -> Claims:
    """What the adapter claims."""
    return create(find(plain.name)).claims


def called(plain: Plain, x: np.ndarray, parameters: str = "both") -> np.ndarray:
    """y of a training step, or of inference where that is all there is."""
    if plain.step is not None:
        return plain.step(x, MOMENTUM, parameters).y
    assert plain.infer is not None
    return plain.infer(x, parameters)


def array(values: list[list[float]], dtype: Any = "float32") -> np.ndarray:
    """x of shape (n, C)."""
    return np.array(values, DTYPES[dtype]).reshape(-1, 1)


def blended(claims: Claims, batch: float, old: float) -> float:
    """The running statistic after a new layer's first step: exact in float32 for the numbers used here."""
    if claims.dialect.debiased:
        return batch
    new = MOMENTUM if claims.dialect.momentum_weighs == "new" else 1 - MOMENTUM
    return (1 - new) * old + new * batch


def test_claims_contradict_nothing(plain: Plain) -> None:
    """Bundled claims keep the rules that a candidate file's are refused by."""
    assert contradictions(claims_of(plain)) is None


def test_every_framework_adapter_is_held_against_its_framework() -> None:
    """No implementation of a framework is left out of this module."""
    own = {"reference", "fused_triton", "fused.triton", "triton"}
    frameworks = {entry.name for entry in REGISTRY if entry.name.split(".")[0] not in own}
    assert set(PLAIN) == {name for name in frameworks if not name.startswith("bnconform")}


@pytest.mark.parametrize("name", UNTRAINED)
def test_other_training_is_not_claimed(name: str) -> None:
    """A layer that trains by something else than batch norm does not claim to train."""
    need(name)
    assert "training" not in create(find(name)).claims.modes


def test_modes(plain: Plain) -> None:
    """What does not train here does not claim to, and nothing else."""
    assert ("training" in claims_of(plain).modes) == (plain.step is not None)


def test_default_eps_and_momentum(plain: Plain) -> None:
    """The claimed defaults are those of the framework's own signature."""
    claims = claims_of(plain)
    assert plain.defaults() == (claims.default_eps, claims.default_momentum)


def test_defaults_are_read_from_the_framework(plain: Plain) -> None:
    """What is read for the report is what the framework's own signature says, and its statistics start as claimed."""
    found = layer_defaults(of_this_process(find(plain.name)))
    if found is None:
        assert plain.defaults() == (None, None)
        return
    assert (found.eps, found.momentum) == plain.defaults()
    dialect = claims_of(plain).dialect
    assert (found.mean, found.variance) in ((None, None), (dialect.initial_mean, dialect.initial_variance))


def test_momentum_sense_and_stored_variance(trained: Plain) -> None:
    """On the values 0 and 4 the stored mean and variance are what the claimed sense and divisor make of them."""
    claims = claims_of(trained)
    step = trained.step(array([[0.0], [4.0]]), MOMENTUM)
    variance = {"unbiased": 8.0, "biased": 4.0}[claims.dialect.stored_variance]
    assert step.mean.tolist() == [blended(claims, 2.0, claims.dialect.initial_mean)]
    as_claimed = step.var.tolist() == [blended(claims, variance, claims.dialect.initial_variance)]
    assert as_claimed != is_biased_at_first(trained)


def is_biased_at_first(plain: Plain) -> bool:
    """Whether the ledger knows that the first steps of a layer that debiases are not debiased."""
    return claims_of(plain).dialect.debiased and ledger.find(plain.name, "S11") is not None


def test_one_value_per_channel(trained: Plain) -> None:
    """Training on one value raises, gives bias and blends in a variance of 0, or hands x on, as claimed."""
    claims = claims_of(trained)
    if claims.dialect.one_value == "raises":
        if known := ledger.find(trained.name, "X2"):
            if "ZeroDivisionError" in known.reason:
                with pytest.raises(ZeroDivisionError):
                    trained.step(array([[3.0]]), MOMENTUM)
                return
            assert not np.isfinite(trained.step(array([[3.0]]), MOMENTUM).var).any()
            return
        with pytest.raises(Exception, match=r"more than (1|one) value per channel"):
            trained.step(array([[3.0]]), MOMENTUM)
        return
    step = trained.step(array([[3.0]]), MOMENTUM)
    if claims.dialect.one_value == "identity":
        assert [step.y.tolist(), step.mean.tolist(), step.var.tolist()] == [[[3.0]], [0.0], [1.0]]
        return
    assert step.y.tolist() == [[0.0]]
    assert step.mean.tolist() == [blended(claims, 3.0, 0.0)]
    assert (step.var.tolist() == [blended(claims, 0.0, 1.0)]) != is_biased_at_first(trained)


def test_empty_batch(trained: Plain) -> None:
    """Training on no value leaves the statistics alone, as claimed, or the ledger knows better."""
    claims = claims_of(trained)
    if claims.dialect.empty_batch == "raises":
        with pytest.raises(RuntimeError, match="at least one element"):
            trained.step(array([]), MOMENTUM)
        return
    step = trained.step(array([]), MOMENTUM)
    initial = [claims.dialect.initial_mean], [claims.dialect.initial_variance]
    kept = (step.mean.tolist(), step.var.tolist()) == initial
    assert step.y.shape == (0, 1)
    for id in ("S9", "X3"):
        judged = any("training" in domain.modes for domain in ledger.domains(trained.name, id, claims))
        assert kept == (ledger.find(trained.name, id) is None) or not judged


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_absent_parameters(plain: Plain, parameters: str) -> None:
    """The framework offers each claimed choice of weight and bias, and none that is not claimed."""
    x = array([[0.0], [4.0]])
    if parameters in claims_of(plain).parameters:
        assert called(plain, x, parameters).shape == x.shape
        return
    if plain.name in NARROWED:
        return
    with pytest.raises(Exception):  # noqa: B017, PT011 - each framework refuses in its own way
        called(plain, x, parameters)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(plain: Plain, dtype: Any) -> None:
    """A claimed dtype of x comes back in y, with statistics of the parameters' dtype, or the ledger knows better; no
    other does both."""
    x, kept = array([[0.0], [4.0]], dtype), False
    wide = np.dtype(np.float64 if dtype == "float64" else np.float32)

    def found() -> tuple[bool, bool]:
        if plain.step is None:
            return called(plain, x).dtype == x.dtype, True
        step = plain.step(x, MOMENTUM)
        return step.y.dtype == x.dtype, step.var.dtype == wide

    if dtype in claims_of(plain).dtypes:
        y, statistics = found()
        assert y
        assert statistics or ledger.find(plain.name, "N2") is not None
        return
    if plain.name in NARROWED:
        return
    with suppress(Exception):  # each framework refuses in its own way
        kept = all(found())
    assert not kept


@pytest.mark.parametrize("mode", ["ema", "legacy"])
def test_equinox_ema_is_another_layer_in_training(mode: str) -> None:
    """Its second step is normalized by the running statistics, and legacy is the same: neither is claimed."""
    equinox, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")
    claims = create(find("equinox.ema")).claims
    assert claims.modes == ("inference",)
    assert (claims.default_eps, claims.default_momentum) == PLAIN["equinox.ema"].defaults()
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
    plain = PLAIN[name]
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


def test_momentum_none_is_refused_where_it_is_not_claimed(trained: Plain) -> None:
    """Where momentum None is not claimed, the framework takes no None."""
    if claims_of(trained).dialect.cumulative:
        return
    if trained.name in NONE_AS_DEFAULT:
        x, default = array([[0.0], [4.0]]), claims_of(trained).default_momentum
        assert trained.step(x, None).var.tolist() == trained.step(x, default).var.tolist()
        return
    with pytest.raises(Exception):  # noqa: B017, PT011 - each framework refuses in its own way
        trained.step(array([[0.0], [4.0]]), None)
