"""`FusedBatchNorm` beside ``torch.nn.BatchNorm*d``: state, checkpoints, modes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bnconform_adapters.fused_triton import FusedBatchNorm
from bnconform_reference.precision import UNIT_ROUNDOFF

BATCH_NORMS = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}
SHAPES = [(8, 3), (4, 3, 5), (4, 3, 5, 2), (2, 3, 2, 3, 2)]


def pair(shape: tuple[int, ...], **options: Any) -> tuple[Any, Any]:
    """torch's module and ours, in float64, with the same random state."""
    torch.manual_seed(0)
    theirs = BATCH_NORMS[len(shape)](shape[1], dtype=torch.float64, **options)
    ours = FusedBatchNorm(shape[1], dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, *, steps: int = 1, condition: float = 1.0) -> None:
    """Two float64 implementations, each within gamma_k of the truth.

    A step's results pass k = 2 (n + 20) roundings at most (n the values per channel, here up to 32,
    by the crudest bound of any order of summation); steps compound; ``condition`` is how
    much larger than the result the intermediate values may be.
    """
    k = 2 * (32 + 20) * steps
    ours, theirs = ours.detach(), theirs.detach()
    scale = max(1.0, float(theirs.abs().max()))
    assert float((ours - theirs).abs().max()) <= 2 * k * UNIT_ROUNDOFF["float64"] * scale * condition


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": None},
        {"affine": False},
        {"track_running_stats": False},
        {"momentum": 0.9, "eps": 0.1},
        {"affine": False, "track_running_stats": False},
    ],
    ids=str,
)
def test_five_training_steps_follow_torch(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """The same trajectory of outputs, gradients, parameters and buffers, then the same inference."""
    ours, theirs = pair(shape, **options)
    optimizers = [torch.optim.SGD([*m.parameters(), torch.nn.Parameter(torch.zeros(1))], 0.1) for m in (ours, theirs)]
    for step in range(1, 6):
        x, dy = torch.randn(shape, dtype=torch.float64) + 1, torch.randn(shape, dtype=torch.float64)
        results = []
        for module, optimizer in zip((ours, theirs), optimizers, strict=True):
            leaf = x.clone().requires_grad_()
            optimizer.zero_grad()
            y = module(leaf)
            y.backward(dy)
            optimizer.step()
            results.append((y.detach(), leaf.grad))
        # A gradient divides by the standard deviation of the batch, which is about 1 here.
        for a, b in zip(*results, strict=True):
            assert_same(a, b, steps=step, condition=8)
        assert_state_follows(ours, theirs, step)
    ours.eval()
    theirs.eval()
    assert_same(ours(x), theirs(x), steps=5, condition=8)


def assert_state_follows(ours: Any, theirs: Any, step: int) -> None:
    """Same keys, same dtypes, same counts, values within the bound."""
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert_same(a[name].double(), b[name].double(), steps=step, condition=8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_checkpoints_round_trip_in_both_directions(shape: tuple[int, ...], tmp_path: Any) -> None:
    """A torch checkpoint loads here and the other way round, strictly and to the bit."""
    ours, theirs = pair(shape)
    ours(torch.randn(shape, dtype=torch.float64))
    torch.save(ours.state_dict(), tmp_path / "ours.pt")
    theirs.load_state_dict(torch.load(tmp_path / "ours.pt"))
    again = FusedBatchNorm(shape[1], dtype=torch.float64)
    again.load_state_dict(theirs.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])
        assert torch.equal(value, again.state_dict()[name])


def test_checkpoint_from_before_num_batches_tracked_loads() -> None:
    """Version 1 checkpoints have no count: it starts at 0."""
    state = torch.nn.BatchNorm2d(3).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    module = FusedBatchNorm(3)
    module.load_state_dict(state)
    assert int(module.num_batches_tracked) == 0


def test_constructor_is_torchs() -> None:
    """Positional arguments mean the same, and the representation shows them."""
    ours = FusedBatchNorm(3, 1e-3, 0.2, True, True, "cpu", torch.float64)
    theirs = torch.nn.BatchNorm2d(3, 1e-3, 0.2, True, True, "cpu", torch.float64)
    for name in ("num_features", "eps", "momentum", "affine", "track_running_stats"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.weight.dtype == torch.float64
    assert "relu=False" in repr(ours)


def test_cumulative_average_skips_batches_that_left_no_trace() -> None:
    """momentum=None averages the batches seen: not an empty one, not one that was refused."""
    module = FusedBatchNorm(1, momentum=None, affine=False)
    module(torch.tensor([[0.0], [2.0]]))
    module(torch.empty(0, 1))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.ones(1, 1))
    module(torch.tensor([[10.0], [12.0]]))
    assert module.running_mean.item() == 6.0  # (1 + 11) / 2, exact
    assert int(module.num_batches_tracked) == 2


@pytest.mark.parametrize("value", [torch.ones(1, 3), torch.ones(1, 3, 1, 1)], ids=str)
def test_one_value_per_channel_raises_and_leaves_the_state(value: torch.Tensor) -> None:
    """The refusal of torch's module, without its count."""
    module = FusedBatchNorm(3)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        module(value)
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())
    assert module.eval()(value).shape == value.shape


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 3, 0)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_empty_batch_changes_no_state(shape: tuple[int, ...], training: bool) -> None:
    """y is empty, statistics stay, parameters get zero gradients; as torch, but for the count."""
    module = FusedBatchNorm(3).train(training)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    x = torch.empty(shape, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.shape == shape
    assert x.grad is not None
    for parameter in module.parameters():
        assert torch.equal(parameter.grad, torch.zeros(3))
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())


def test_training_updates_once_and_inference_never() -> None:
    """One step of momentum 0.5 from (0, 1) on exact data; inference leaves it there."""
    module = FusedBatchNorm(1, momentum=0.5)
    x = torch.tensor([[1.0], [3.0]])
    module(x).sum().backward()
    assert module.running_mean.item() == 1.0  # (0 + 2) / 2
    assert module.running_var.item() == 1.5  # (1 + 2) / 2: the unbiased variance of 1 and 3 is 2
    module.eval()(x)
    assert (module.running_mean.item(), module.running_var.item()) == (1.0, 1.5)
    assert int(module.num_batches_tracked) == 1


def test_tracking_switched_off_later_stops_updates() -> None:
    """As torch: buffers that exist but are not tracked are neither written nor read in training."""
    module = FusedBatchNorm(3)
    module.track_running_stats = False
    module(torch.randn(4, 3))
    assert torch.equal(module.running_mean, torch.zeros(3))
    assert int(module.num_batches_tracked) == 0


def test_residual_and_relu_are_what_three_modules_give() -> None:
    """FusedBatchNorm(relu=True)(x, residual) is relu(batch_norm(x) + residual)."""
    ours, theirs = pair((4, 3, 5, 2))
    fused = FusedBatchNorm(3, dtype=torch.float64, relu=True)
    fused.load_state_dict(ours.state_dict())
    x, residual = torch.randn(2, 4, 3, 5, 2, dtype=torch.float64)
    assert_same(fused(x, residual), torch.relu(theirs(x) + residual), condition=8)


def test_half_module_keeps_half_buffers() -> None:
    """module.half() as in torch: parameters and statistics in half, updated there."""
    module = FusedBatchNorm(3).half()
    y = module(torch.randn(8, 3).half())
    assert y.dtype == module.running_mean.dtype == module.running_var.dtype == torch.float16
    assert not torch.equal(module.running_mean, torch.zeros(3, dtype=torch.float16))


def test_copies_and_pickles() -> None:
    """deepcopy and torch.save of the whole module work, relu included."""
    import copy

    module = FusedBatchNorm(3, relu=True)
    assert copy.deepcopy(module).relu
