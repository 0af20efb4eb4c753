"""The experiments: their statistics, their trials, and a short version of all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_network import torch_input, torch_model

from bnconform.cases.digits import held_out, to_train_on
from bnconform.cli import main
from bnconform.commands.benefits import ONE_THREAD
from bnconform.training.experiments import trials
from bnconform.training.experiments.facts import T_975, Experiment, Fact, Interval, Panel, line
from bnconform.training.experiments.noise import noise
from bnconform.training.experiments.speed import _steps_to_learn, initial_scale, speed
from bnconform.training.experiments.trials import (
    SHORT,
    Effort,
    Subject,
    Trial,
    alternative,
    implementation,
    statistics_kept,
    use_population,
)
from bnconform.training.network import Architecture
from bnconform_adapters.contract import Case, Finish, Layer
from bnconform_adapters.errors import UserError
from bnconform_adapters.population import recompute_statistics
from bnconform_adapters.registry import load
from bnconform_reports.records.checking import check_benefits

SMALL = Architecture((12, 8))


def subject(name: str = "reference") -> Subject:
    """A bundled implementation in the experiments."""
    return implementation(load(name))


def test_intervals_are_students() -> None:
    """Quantiles and intervals are scipy's."""
    stats = pytest.importorskip("scipy.stats")
    for count, quantile in T_975.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, count - 1), abs=6e-4)
    values = np.random.default_rng(0).standard_normal(8)
    found = Interval.of(values)
    low, high = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    assert (found.low, found.mean, found.high) == pytest.approx((low, values.mean(), high), abs=2e-4)


@pytest.mark.parametrize(
    ("low", "high", "claimed", "verdict"),
    [
        (0.1, 0.2, "above 0", "as claimed"),
        (-0.2, -0.1, "above 0", "contrary"),
        (-0.2, -0.1, "below 0", "as claimed"),
        (0.1, 0.2, "below 0", "contrary"),
        (-0.1, 0.2, "above 0", "undecided"),
        (float("nan"), float("nan"), "above 0", "undecided"),
        (0.1, 0.2, "", ""),
    ],
)
def test_verdict_goes_by_the_whole_interval(low: float, high: float, claimed: Any, verdict: str) -> None:
    """A claim is borne out or refuted only where all of the interval says so."""
    assert Fact("torch", "gain", Interval((low + high) / 2, low, high), claimed).verdict == verdict


def test_numbers_that_are_not_finite_become_none() -> None:
    """JSON has no NaN; a record with them is sound all the same."""
    panel = Panel("losses", "steps", "loss", [line("a", "a", [1, 2], [[1.0, 2.0], [np.inf, 1.0]])])
    experiment = Experiment("one", "t", "c", "d", "l", ["s"], [panel], [Fact("a", "w", Interval.of([np.nan, 1.0]))])
    data = {"subjects": ["a"], "seeds": 2, "steps": 2, "experiments": [experiment.as_data()]}
    again = json.loads(json.dumps(data, allow_nan=False))
    check_benefits(again)
    assert again["experiments"][0]["panels"][0]["lines"][0]["y"][1]["high"] is None


def test_steps_to_learn_are_the_first_below() -> None:
    """The tenth step is the first that counts; a network that never learns counts as one that did at the last."""
    smooth = np.array([[2.0, 0.4, 2.0], [0.5, 0.3, 2.0], [0.4, 0.2, np.nan]])
    assert _steps_to_learn(smooth).tolist() == [11, 10, 12]


def test_members_of_a_trial_are_trained_as_if_alone() -> None:
    """A member's rate, scale and seed give what PyTorch gives for that network alone, moving averages included."""
    torch = pytest.importorskip("torch")
    trial = Trial(SMALL, seeds=2, steps=5, batch=16, rates=(0.05, 0.2), scales=(1.0, 3.0))
    network, losses = trial.train(subject("torch"))
    reached = trial.held_out_accuracy(network)
    batches = list(trial.batches())
    for seed, value in ((0, 1), (1, 0), (1, 1)):
        member = seed * 2 + value
        start = {name: array[member][None] for name, array in trial.start().items()}
        model = torch_model(SMALL, start)
        optimizer = torch.optim.SGD(model.parameters(), lr=trial.rates[value])
        for step, batch in enumerate(batches):
            optimizer.zero_grad()
            outputs = model.train()(torch_input(SMALL, batch.images[member]))
            loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(batch.labels[member]))
            loss.backward()
            optimizer.step()
            assert losses[step, seed, value] == pytest.approx(loss.item(), rel=1e-4)
        data = held_out()
        with torch.no_grad():
            right = model.eval()(torch_input(SMALL, data.images)).argmax(1).numpy() == data.labels
        assert reached[seed, value] == pytest.approx(right.mean(), abs=3 / len(data))


def test_population_of_a_trial_is_that_of_recomputed_statistics() -> None:
    """Layer by layer, the networks' population statistics are what recompute_statistics gives for PyTorch's modules."""
    torch = pytest.importorskip("torch")
    trial = Trial(SMALL, seeds=2, steps=3, batch=16)
    network, _ = trial.train(subject("torch"))
    use_population(network, to_train_on().images)
    data = torch_input(SMALL, to_train_on().images)
    for member in range(2):
        parameters = {name: array[member][None] for name, array in network.parameters.items()}
        model = recompute_statistics(torch_model(SMALL, parameters), torch.split(data, 500))
        for norm, layer in zip(network.norms, (one for one in model if hasattr(one, "running_mean")), strict=True):
            for name in ("running_mean", "running_var"):
                ours = getattr(norm, name).reshape(2, -1)[member]
                np.testing.assert_allclose(ours, getattr(layer, name).numpy(), rtol=1e-4, atol=1e-6)


def test_statistics_are_kept() -> None:
    """Passes in training mode inside the block leave the moving averages as they were."""
    trial = Trial(SMALL, seeds=2, steps=2, batch=16)
    network, _ = trial.train(subject())
    first: Any = network.norms[0]
    before = first.running_mean.copy()
    with statistics_kept(network):
        network.logits(held_out().images, training=True)
        assert (first.running_mean != before).any()
    assert (first.running_mean == before).all()


def test_batches_are_passes_over_few_samples() -> None:
    """With few samples every step sees all of them once, in an order of its own; seeds choose others."""
    trial = Trial(SMALL, seeds=2, steps=3, batch=20, samples=20, rates=(0.1, 0.2))
    steps = list(trial.batches())
    assert steps[0].images.shape == (4, 20, 8, 8)
    seen = [{image.tobytes() for image in step.images[0]} for step in steps]
    assert seen[0] == seen[1] == seen[2]
    assert (steps[0].labels[0] != steps[1].labels[0]).any()
    assert (steps[0].images[0] == steps[0].images[1]).all()
    assert seen[0] != {image.tobytes() for image in steps[0].images[2]}


@pytest.mark.parametrize(("name", "missing"), [("equinox.ema", "training"), ("onnx.reference.15", "gradients")])
def test_what_cannot_be_trained_is_refused(name: str, missing: str) -> None:
    """An implementation without gradients is refused with what it lacks."""
    pytest.importorskip(name.partition(".")[0])
    with pytest.raises(UserError, match=f"{name} cannot be trained with: it does not claim .*{missing}"):
        subject(name)


class WithoutDweight:
    """The reference, but that its backward pass gives no dweight."""

    def __init__(self) -> None:
        self._right = load("reference")
        self.name, self.claims = "one of these", self._right.claims

    def layer(self, case: Case) -> Layer:
        """See the contract."""
        call = self._right.layer(case)

        def without(case: Case) -> Finish:
            finish = call(case)
            return lambda: replace(finish(), dweight=None)

        return without


def test_output_that_is_not_there_is_told() -> None:
    """A gradient that a layer should give and does not is named, with the layer."""
    with pytest.raises(UserError, match="one of these cannot be trained with: dweight is missing"):
        Trial(SMALL, 1, 1, 8).train(implementation(WithoutDweight()))


def test_noise_of_a_layer_without_batch_statistics_is_none() -> None:
    """The spread over batches measures the batch: it is 0 for layer norm and falls with the size for batch norm."""
    from bnconform.training.experiments.noise import _spread

    trial = Trial(SMALL, seeds=3, steps=4, batch=16)
    assert _spread(trial, alternative("layer norm"), [4, 16]).max() < 1e-12
    small, large = _spread(trial, subject(), [4, 64]).mean(axis=1)
    assert small > 2 * large > 0


def test_range_of_rates_and_scales_is_wider() -> None:
    """The short version shows the effects that a few steps suffice for."""
    for experiment in (*speed([subject()], SHORT), initial_scale([subject()], SHORT)):
        if experiment.id != "convergence":
            facts = {fact.what: fact.verdict for fact in experiment.facts}
            assert facts["octaves more than without normalization"] == "as claimed", experiment.id


def test_command_writes_page_record_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bnconform benefits --short` runs every experiment, and writes page, record and figures."""
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    for variable in ONE_THREAD:  # which the command sets for itself
        monkeypatch.setenv(variable, "1")
    shorter = Effort(seeds=2, steps=12, fine=5)
    monkeypatch.setattr(trials, "SHORT", shorter)
    assert main(["benefits", "--short", "--adapter", "reference", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("batch norm at work: of ")
    data = json.loads((tmp_path / "benefits.json").read_text())
    check_benefits(data)
    assert (data["seeds"], data["steps"]) == (shorter.seeds, shorter.steps)
    ids = [experiment["id"] for experiment in data["experiments"]]
    assert ids == ["convergence", "rates", "scale", "noise", "shift", "phases", "tiny", "recurrent"]
    for kind in ("png", "svg"):
        assert sorted(p.stem for p in tmp_path.glob(f"*.{kind}")) == sorted(f"benefits-{id}" for id in ids)
    page = (tmp_path / "benefits.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    for experiment in data["experiments"]:
        assert f'id="benefits-{experiment["id"]}"' in page


def test_noise_experiment_is_reproducible() -> None:
    """The same effort gives the same numbers."""
    tiny = Effort(seeds=2, steps=3, fine=5)
    first, second = (noise([subject()], tiny).as_data() for _ in range(2))
    assert first == second
