"""What stands beside batch norm in the experiments, against PyTorch: other norms, groups, and the recurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnconform.cases.digits import everything
from bnconform.training import recurrent
from bnconform.training.alternatives import InGroups, OwnStatistics, instance_norm, layer_norm, without_norm
from bnconform.training.network import Architecture, Array, Norm
from bnconform.training.norms import OracleNorm, Settings
from bnconform_adapters.claims import Claims

torch = pytest.importorskip("torch")

SHAPE = (5, 3, 4, 4)


def data() -> tuple[Any, Any, Any, Any]:
    """x and dy (5, 3, 4, 4), weight and bias (3,)."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(SHAPE), rng.standard_normal(SHAPE), rng.standard_normal(3), rng.standard_normal(3)


def rows(x: Any) -> Array:
    """(N, C, *spatial) as rows of one member."""
    return np.moveaxis(x, 1, 0).reshape(1, x.shape[1], -1)


@pytest.mark.parametrize("kind", ["instance", "layer"])
def test_own_statistics_are_pytorchs(kind: Any) -> None:
    """Values and gradients of instance and layer normalization are torch's."""
    x, dy, weight, bias = data()
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    if kind == "instance":
        y = torch.nn.functional.instance_norm(tensors[0], weight=tensors[1], bias=tensors[2])
    else:
        normalized = torch.nn.functional.layer_norm(tensors[0], SHAPE[1:])
        y = normalized * tensors[1][:, None, None] + tensors[2][:, None, None]
    y.backward(torch.tensor(dy))
    norm = OwnStatistics(kind, 16)
    np.testing.assert_allclose(norm.forward(rows(x), weight[None], bias[None], training=True), rows(y.detach().numpy()))
    dx, dweight, dbias = norm.backward(rows(dy))
    np.testing.assert_allclose(dx, rows(tensors[0].grad.numpy()), atol=1e-12)
    np.testing.assert_allclose(dweight[0], tensors[1].grad.numpy())
    np.testing.assert_allclose(dbias[0], tensors[2].grad.numpy())


def test_groups_are_batches_of_their_own() -> None:
    """A batch in groups gives what each group gives alone; parameters' gradients are summed."""
    x, dy, weight, bias = (array[..., 0, 0] if array.ndim == 4 else array for array in data())
    x, dy = np.concatenate([x, -3 * x[:3]]), np.concatenate([dy, dy[:3]])

    def norm(channels: int) -> OracleNorm:
        return OracleNorm(1, channels, Settings(), Claims())

    grouped = InGroups(norm(6), norm(3), 2)
    y = grouped.forward(rows(x), weight[None], bias[None], training=True)
    dx, dweight, dbias = grouped.backward(rows(dy))
    sums = [np.zeros((1, 3)), np.zeros((1, 3))]
    for part in (slice(0, 4), slice(4, 8)):
        alone = norm(3)
        np.testing.assert_allclose(y[..., part], alone.forward(rows(x[part]), weight[None], bias[None], training=True))
        found = alone.backward(rows(dy[part]))
        np.testing.assert_allclose(dx[..., part], found[0], atol=1e-14)
        sums = [total + more for total, more in zip(sums, found[1:], strict=True)]
    np.testing.assert_allclose(dweight, sums[0])
    np.testing.assert_allclose(dbias, sums[1])


def test_no_norm_adds_the_bias() -> None:
    """Without normalization a layer has a bias and nothing else."""
    x, dy, weight, bias = data()
    norm = without_norm(3, (4, 4))
    np.testing.assert_array_equal(
        norm.forward(rows(x), weight[None], bias[None], training=True), rows(x + bias[:, None, None])
    )
    dx, dweight, dbias = norm.backward(rows(dy))
    np.testing.assert_array_equal(dx, rows(dy))
    np.testing.assert_allclose(dbias[0], dy.sum((0, 2, 3)))
    assert not dweight.any()


@pytest.mark.parametrize("kind", ["batch norm", "layer norm", "none"])
def test_recurrent_network_is_pytorchs(kind: str) -> None:
    """Loss and gradients of the recurrence are those of the same loop under torch's autograd."""
    sample = everything()[:9]
    parameters = recurrent.initial(6, np.random.default_rng(1))

    def make_norm(channels: int, spatial: tuple[int, ...]) -> Norm:
        if kind == "batch norm":
            return OracleNorm(1, channels, Settings(), Claims())
        return layer_norm(channels, spatial) if kind == "layer norm" else without_norm(channels, spatial)

    network = recurrent.Recurrent(dict(parameters), make_norm, shared_statistics=True)
    loss, gradients = network.gradients(sample.images, sample.labels)
    theirs = {name: torch.tensor(value[0], requires_grad=True) for name, value in parameters.items()}
    state, images = torch.zeros(9, 6, dtype=torch.float64), torch.tensor(sample.images) / 16
    mean, var = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    for t in range(8):
        summed = images[:, t] @ theirs["input.weight"].T + state @ theirs["recurrent.weight"].T
        scale, shift = theirs["norm.weight"], theirs["norm.bias"]
        if kind == "batch norm":
            summed = torch.nn.functional.batch_norm(summed, mean, var, scale, shift, training=True)
        elif kind == "layer norm":
            summed = torch.nn.functional.layer_norm(summed, (6,), scale, shift)
        else:
            summed = summed + shift
        state = torch.tanh(summed)
    outputs = state @ theirs["output.weight"].T + theirs["output.bias"]
    total = torch.nn.functional.cross_entropy(outputs, torch.tensor(sample.labels))
    total.backward()
    np.testing.assert_allclose(loss[0], total.item(), rtol=1e-12)
    for name, tensor in theirs.items():
        expected = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(gradients[name][0], expected, rtol=1e-9, atol=1e-13, err_msg=name)
    if kind == "batch norm":  # one set of running statistics went through all eight steps
        last: Any = network.norms[-1]
        np.testing.assert_allclose(last.running_mean[0], mean.numpy())
        np.testing.assert_allclose(last.running_var[0], var.numpy())


def test_instance_norm_is_made_for_feature_maps() -> None:
    """The makers take the positions from the spatial axes."""
    assert instance_norm(3, (4, 4)) == OwnStatistics("instance", 16)
    assert layer_norm(3, ()) == OwnStatistics("layer", 1)
    assert Architecture((3, 4), convolutional=True).spatial(1) == (4, 4)
