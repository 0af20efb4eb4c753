"""The network of the training laws and experiments against PyTorch's own, layer for layer, loss and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnconform.cases.digits import everything
from bnconform.training.network import (
    CONVOLUTIONAL,
    DENSE,
    Architecture,
    Network,
    Parameters,
    accuracy,
    batches,
    initial,
)
from bnconform.training.norms import OracleNorm, Settings
from bnconform.training.training_run import KINDS
from bnconform_adapters.claims import Claims

torch = pytest.importorskip("torch")

BATCH = 12
NETWORKS = {
    "dense": DENSE,
    "deep": Architecture((16, 12, 8)),
    "convolutional": CONVOLUTIONAL,
    "smooth dense": KINDS["dense"].architecture,
    "smooth convolutional": KINDS["convolutional"].architecture,
}


def torch_model(architecture: Architecture, parameters: Parameters, momentum: float = 0.1) -> Any:
    """The same network as a user of PyTorch would build it, in float64, with the first member's parameters."""
    layers: list[Any] = []
    channels = 1 if architecture.convolutional else 64
    for i, out in enumerate(architecture.hidden):
        given = torch.tensor(parameters[f"linear{i}.weight"][0])
        if architecture.convolutional:
            size, more = (3, {"padding": 1}) if i == 0 else (2, {"stride": 2})
            layer = torch.nn.Conv2d(channels, out, size, bias=False, dtype=torch.float64, **more)
            given = given.reshape(out, channels, size, size)
            norm = torch.nn.BatchNorm2d(out, momentum=momentum, dtype=torch.float64)
        else:
            layer = torch.nn.Linear(channels, out, bias=False, dtype=torch.float64)
            norm = torch.nn.BatchNorm1d(out, momentum=momentum, dtype=torch.float64)
        layer.weight.data = given
        norm.weight.data = torch.tensor(parameters[f"norm{i}.weight"][0])
        norm.bias.data = torch.tensor(parameters[f"norm{i}.bias"][0])
        layers += [layer, norm, torch.nn.ReLU() if architecture.activation == "relu" else torch.nn.Softplus()]
        channels = out
    output = torch.nn.Linear(architecture.fan_in()[-1], 10, dtype=torch.float64)
    output.weight.data = torch.tensor(parameters["output.weight"][0])
    output.bias.data = torch.tensor(parameters["output.bias"][0])
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), output)


def torch_input(architecture: Architecture, images: Any) -> Any:
    """Images as PyTorch's network takes them."""
    scaled = torch.tensor(images) / 16
    return scaled[:, None] if architecture.convolutional else scaled.reshape(len(images), 64)


def oracle_network(architecture: Architecture, parameters: Parameters, members: int = 1) -> Network:
    """The network with the oracle's batch norms, every member with the same parameters."""
    repeated = {name: np.repeat(value, members, axis=0) for name, value in parameters.items()}
    return Network(architecture, repeated, lambda channels, _: OracleNorm(members, channels, Settings(), Claims()))


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_are_pytorchs(name: str) -> None:
    """Cross-entropy of a batch and its gradients by every parameter are those of the same network in PyTorch."""
    architecture, data = NETWORKS[name], everything()[:BATCH]
    parameters = initial(architecture, np.random.default_rng(0))
    model = torch_model(architecture, parameters)
    loss, gradients = oracle_network(architecture, parameters).gradients(data.images, data.labels)
    theirs = torch.nn.functional.cross_entropy(model(torch_input(architecture, data.images)), torch.tensor(data.labels))
    theirs.backward()
    np.testing.assert_allclose(loss[0], theirs.item(), rtol=1e-12)
    flat = [gradients[key].ravel() for key in parameters]
    assert [g.size for g in flat] == [p.numel() for p in _in_order(model)]
    for key, ours, parameter in zip(parameters, flat, _in_order(model), strict=True):
        expected = parameter.grad.numpy().ravel()
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-13, err_msg=key)
        assert np.abs(expected).max() > 1e-4


def _in_order(model: Any) -> list[Any]:
    """PyTorch's parameters as :func:`initial` orders them."""
    return [parameter for layer in model for parameter in layer.parameters()]


def test_members_do_not_see_one_another() -> None:
    """Several networks side by side give what each gives alone."""
    data, architecture = everything()[:BATCH], KINDS["convolutional"].architecture
    first, second = (initial(architecture, np.random.default_rng(seed)) for seed in (1, 2))
    both = {name: np.concatenate([first[name], second[name]]) for name in first}
    network = Network(architecture, both, lambda channels, _: OracleNorm(2, channels, Settings(), Claims()))
    losses = [network.step(data.images, data.labels, 0.1) for _ in range(3)]
    for member, parameters in enumerate((first, second)):
        alone = oracle_network(architecture, parameters)
        expected = [alone.step(data.images, data.labels, 0.1)[0] for _ in range(3)]
        np.testing.assert_allclose([loss[member] for loss in losses], expected, rtol=1e-10)


def test_a_pass_over_the_data_takes_every_sample_once() -> None:
    """Batches are disjoint, of equal size, and in an order that the seed decides."""
    order = batches(7, 30, np.random.default_rng(0))
    assert [len(index) for index in order] == [7, 7, 7, 7]
    assert len({int(i) for index in order for i in index}) == 28
    again, other = (batches(7, 30, np.random.default_rng(seed)) for seed in (0, 1))
    assert all((a == b).all() for a, b in zip(order, again, strict=True))
    assert not all((a == b).all() for a, b in zip(order, other, strict=True))


def test_accuracy_counts_the_largest_logit() -> None:
    """Accuracy is the share of samples whose label has the largest logit, for each member."""
    logits = np.zeros((2, 10, 4))
    logits[0, [3, 1, 2, 0], np.arange(4)] = 1.0
    logits[1, 0] = 1.0
    assert accuracy(logits, np.array([3, 1, 2, 9])).tolist() == [0.75, 0.0]


def test_bundled_digits_are_scikit_learns() -> None:
    """All images and labels are those of scikit-learn's digits."""
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    ours = everything()
    assert (ours.images == theirs.images).all()
    assert (ours.labels == theirs.target).all()
