"""What a training run may be off by: never too little for a correct layer, and not much more than it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_network import torch_input, torch_model

from bnconform.cases.digits import held_out, to_train_on
from bnconform.judging.comparison import compare
from bnconform.training import spread
from bnconform.training.network import Array, Norm, batches
from bnconform.training.norms import RoundingNorm, Settings
from bnconform.training.spread import HALF, expected_run, multiple, oracle_run
from bnconform.training.training_run import KINDS, RATE, STEPS, TrainingRun
from bnconform_adapters.claims import Claims
from bnconform_reference.dialect import FLAX, PYTORCH, Dialect

COURSES = [TrainingRun(kind, salt) for kind in KINDS for salt in (0, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_oracles_course_is_that_of_pytorchs_own_training(kind: str) -> None:
    """PyTorch's modules, loss, autograd and optimizer, in float64, come to the same parameters and outputs."""
    torch = pytest.importorskip("torch")
    training_run = TrainingRun(kind, 5, Settings(momentum=0.3))
    ours = oracle_run(training_run, PYTORCH)
    model = torch_model(training_run.architecture, training_run.start(), momentum=0.3)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    data = to_train_on()
    order = batches(KINDS[kind].batch, len(data), np.random.default_rng((training_run.salt, 1)))
    for step, index in enumerate(order[:STEPS], 1):
        optimizer.zero_grad()
        images, labels = torch_input(training_run.architecture, data.images[index]), torch.tensor(data.labels[index])
        loss = torch.nn.functional.cross_entropy(model.train()(images), labels)
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(ours[f"loss of step {step}"][0], loss.item(), rtol=1e-10)
    norms = [layer for layer in model if hasattr(layer, "running_mean")]
    for i, norm in enumerate(norms):
        for name in ("running_mean", "running_var"):
            found = getattr(norm, name).numpy()
            np.testing.assert_allclose(ours[f"{name} of layer {i} after step {STEPS}"][0], found, rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        outputs = model.eval()(torch_input(training_run.architecture, held_out()[:16].images)).numpy().T
    np.testing.assert_allclose(ours[f"inference outputs after step {STEPS}"][0], outputs, rtol=1e-9, atol=1e-12)


def test_multiple_keeps_its_promise() -> None:
    """By the exact tails of the normal and chi-squared distributions, a training run fails less often than promised."""
    stats = pytest.importorskip("scipy.stats")
    values, alarm = 10_000, 1e-9
    factor = multiple(values, HALF, alarm)
    # The estimate is sigma sqrt(c / J) with c chi-squared of J degrees of freedom: Student's t, independent of it.
    assert 2 * values * stats.t.sf(factor, HALF) < alarm
    assert multiple(10 * values, HALF, alarm) > factor > multiple(values, 4 * HALF, alarm)


@pytest.mark.parametrize("training_run", COURSES, ids=lambda training_run: f"{training_run.kind}-{training_run.salt}")
def test_errors_as_large_as_allowed_stay_inside(training_run: TrainingRun) -> None:
    """Fresh members that err by all that they may, by numbers or by channels, are within; the largest comes near.

    Near: the largest of the members is above 1 / `multiple`, that is a standard deviation, so that the bound is not
    loose by more than the multiple says.
    """
    claims, members = Claims(), 10
    expected = expected_run(training_run, claims)
    rng = np.random.default_rng(99)

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        return RoundingNorm(members // 2, channels, spatial, training_run.settings, claims, rng)

    found = training_run.run(make_norm, 1 + members)
    worst = [max(float(compare(found[n][m], expected[n]).ratio.max()) for n in found) for m in range(1, 1 + members)]
    count = sum(value[0].size for value in found.values())
    assert 1 / multiple(count) < min(worst)
    assert max(worst) < 1


@pytest.mark.parametrize("kind", KINDS)
def test_spread_is_linear_in_the_errors(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the errors give half the spread: what is propagated to first order is all that counts."""
    claims, training_run = Claims(), TrainingRun(kind, 0)
    spreads = []
    for factor in (1.0, 0.5):
        rng = np.random.default_rng(7)

        class Scaled(RoundingNorm):
            def _off(self, array: Array, allowed: Array) -> Array:
                return super()._off(array, factor * allowed)  # noqa: B023  used in this round only

        notes = training_run.run(
            lambda channels, spatial: Scaled(8, channels, spatial, training_run.settings, claims, rng),  # noqa: B023
            17,
        )
        spreads.append({name: np.sqrt(np.square(value[1:] - value[0]).mean()) for name, value in notes.items()})
    for name, whole in spreads[0].items():
        assert spreads[1][name] == pytest.approx(whole / 2, rel=0.01), name


@pytest.mark.parametrize("training_run", COURSES, ids=lambda training_run: f"{training_run.kind}-{training_run.salt}")
@pytest.mark.parametrize("dialect", [PYTORCH, FLAX], ids=["pytorch", "flax"])
def test_bound_tells_faults_apart(training_run: TrainingRun, dialect: Dialect) -> None:
    """The other divisor of the stored variance shows in the statistics, the other sense of momentum in inference."""
    expected = expected_run(training_run, replace(Claims(), dialect=dialect))
    other = FLAX if dialect is PYTORCH else PYTORCH
    for noted, found in (
        ("running_var", oracle_run(training_run, other)),
        ("inference", oracle_run(training_run.swapped(), dialect)),
    ):
        names = [name for name in expected if name.startswith(noted)]
        assert max(float(compare(found[name][0], expected[name]).ratio.max()) for name in names) > 2, noted


def test_long_runs_keep_little_of_courses() -> None:
    """A cached training run holds its own numbers only, and old training runs are forgotten."""
    expected = expected_run(COURSES[0], Claims())
    assert all(quantity.value.base is None and quantity.allowed.base is None for quantity in expected.values())
    bound = spread._expected.cache_info().maxsize
    assert bound is not None
    assert bound * sum(quantity.value.nbytes + quantity.allowed.nbytes for quantity in expected.values()) < 32 << 20
