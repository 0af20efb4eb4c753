"""Special values, exact data, symmetries and determinism."""

from __future__ import annotations

import threading

import pytest
import torch
from fused_judge import Problem, run, tensors

from bnconform_adapters.fused_triton import fused_batch_norm

NAN, INF = float("nan"), float("inf")
SHAPES = [(4, 5, 6), (5, 5, 61, 67)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_relu_keeps_nan(dtype: torch.dtype, training: bool) -> None:
    """A NaN is news: ReLU must not turn it into 0."""
    x = torch.tensor([[1.0, NAN], [2.0, 3.0], [-INF, 4.0]], dtype=dtype)
    mean, var = torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype)
    y = fused_batch_norm(x, None, None, mean, var, training=training, relu=True)
    if training:
        assert bool(y.isnan().all()), "NaN and Inf spoil their channel's statistics"
    else:
        assert y.isnan().tolist() == [[False, True], [False, False], [False, False]]
        assert y[2, 0] == 0


@pytest.mark.parametrize("residual", [False, True])
def test_gradient_passes_where_relu_saw_nan(residual: bool) -> None:
    """As torch's ReLU: the gate is closed where z <= 0, and NaN is not."""
    x = torch.tensor([[NAN], [-3.0], [3.0]], requires_grad=True)
    added = torch.zeros(3, 1) if residual else None
    y = fused_batch_norm(
        x, None, None, torch.zeros(1), torch.ones(1), training=False, eps=0.0, residual=added, relu=True
    )
    (dx,) = torch.autograd.grad(y, x, torch.ones(3, 1))
    assert dx.flatten().tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("poison", [NAN, INF, -INF])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_channels_are_isolated(shape: tuple[int, ...], channels_last: bool, poison: float) -> None:
    """A NaN or Inf spoils all of its channel, and no bit of any other."""
    problem = Problem(shape, channels_last=channels_last)
    given = tensors(problem)
    clean = run(problem, given)
    with torch.no_grad():
        given["x"][1, 2].view(-1)[3] = poison
    spoiled = run(problem, given)
    others = [0, 1, 3, 4]
    for name, value in clean.items():
        axis = 0 if value.ndim == 1 else 1
        index = torch.tensor(others)
        assert torch.equal(spoiled[name].index_select(axis, index), value.index_select(axis, index)), name
    for name in ("y", "dx"):
        assert bool(spoiled[name][:, 2].isnan().all())
    assert bool(spoiled["running_var"][2].isnan())
    assert not bool(spoiled["running_mean"][2].isfinite())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("repeats", [1, 256], ids=["on_chip", "split"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_exact_data_give_exact_results(dtype: str, repeats: int, channels_last: bool) -> None:
    """x = mean +- 2 with eps = 0 and n a power of two: every intermediate value is representable."""
    x = torch.tensor([1.0, 5.0, 5.0, 1.0]).repeat(32 * repeats).view(32, 1, -1) + torch.tensor([0.0, 8.0]).view(2, 1)
    x = x.to(getattr(torch, dtype))
    if channels_last:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    x.requires_grad_()
    n = x.numel() // 2
    wide = torch.float64 if dtype == "float64" else torch.float32
    weight = torch.tensor([2.0, -0.5], dtype=wide, requires_grad=True)
    bias = torch.tensor([1.0, 0.25], dtype=wide, requires_grad=True)
    mean, var = torch.zeros(2, dtype=wide), torch.zeros(2, dtype=wide)
    y = fused_batch_norm(x, weight, bias, mean, var, training=True, momentum=1.0, eps=0.0)
    xhat = (x.detach().double() - torch.tensor([3.0, 11.0]).view(2, 1)) / 2
    assert torch.equal(y.double(), xhat * weight.view(2, 1) + bias.view(2, 1))
    assert mean.tolist() == [3.0, 11.0]
    assert torch.equal(var, torch.full((2,), 4 * n, dtype=wide) / (n - 1)), "correctly rounded n / (n - 1) * 4"
    dweight, dbias = torch.autograd.grad(y, [weight, bias], torch.ones_like(y), retain_graph=True)
    assert (dweight.tolist(), dbias.tolist()) == ([0.0, 0.0], [n, n])
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(dx, torch.zeros_like(dx))


@pytest.mark.parametrize("value", [0.0, 1e4 + 0.1, -3e6, 1e-30])
@pytest.mark.parametrize("shape", [(1000, 2), (5, 2, 61, 67)], ids=str)
def test_constant_channel_gives_the_bias(value: float, shape: tuple[int, ...]) -> None:
    """The corrected mean of equal values is that value, or its neighbour; y is the bias to match.

    |y - bias| <= |weight| ulp(value) / sqrt(eps).
    """
    eps = 1e-5
    x = torch.full(shape, value)
    y = fused_batch_norm(x, torch.ones(2), torch.full((2,), 0.5), None, None, training=True, eps=eps)
    ulp = abs(value) * 2**-23
    assert float((y - 0.5).abs().max()) <= ulp / eps**0.5


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("shape", [(4, 130, 3, 5), (2, 35, 33, 33), (3, 5, 65, 65)], ids=str)
def test_permuted_channels_permute_the_bits(shape: tuple[int, ...], channels_last: bool) -> None:
    """A channel's result does not depend on which place of a block it has."""
    problem = Problem(shape, channels_last=channels_last)
    given = tensors(problem)
    expected = run(problem, given)
    order = torch.randperm(shape[1], generator=torch.Generator().manual_seed(1))

    def permuted(t: torch.Tensor) -> torch.Tensor:
        if t.ndim == 1:
            return t.detach()[order].requires_grad_(t.requires_grad)
        moved = torch.empty_like(t).copy_(t.detach()[:, order])
        return moved.requires_grad_(t.requires_grad)

    got = run(problem, {name: None if t is None else permuted(t) for name, t in given.items()})
    for name, value in expected.items():
        assert torch.equal(got[name], value[order] if value.ndim == 1 else value[:, order]), name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_call_gives_the_same_bits(shape: tuple[int, ...]) -> None:
    """No atomics, no tuning: a repeated call repeats, whatever ran between."""
    problem = Problem(shape, relu=True, residual=True)
    given = tensors(problem)
    first = run(problem, given)
    other = Problem((3, 2, 5), "float16", seed=9)
    run(other, tensors(other))
    second = run(problem, given)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_threads_do_not_mix() -> None:
    """Concurrent calls give what each gives alone."""
    problems = [Problem((4, 3, 5), seed=seed) for seed in range(4)]
    batches = [tensors(problem) for problem in problems]
    expected = [run(problem, batch) for problem, batch in zip(problems, batches, strict=True)]
    got: list[dict[str, torch.Tensor]] = [{} for _ in problems]

    def work(i: int) -> None:
        for _ in range(3):
            got[i] = run(problems[i], batches[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(problems))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(got, expected, strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_bfloat16_is_rounded_to_nearest_even() -> None:
    """Also in the interpreter, which by itself truncates."""
    x = torch.linspace(-3, 3, 4096).bfloat16().view(-1, 1)
    y = fused_batch_norm(x, torch.full((1,), 1 / 3), None, torch.zeros(1), torch.ones(1), training=False, eps=0.0)
    assert torch.equal(y, (x.float() * torch.tensor(1 / 3)).bfloat16())
    ties = torch.tensor([[1.0], [1 + 2**-7]]).bfloat16()  # plus half a unit in the last place
    half = torch.full((1,), 2.0**-8)
    y = fused_batch_norm(ties, None, half, torch.zeros(1), torch.ones(1), training=False, eps=0.0)
    assert y.flatten().tolist() == [1.0, 1 + 2**-6]


def test_float16_sums_do_not_overflow() -> None:
    """Sum and sum of squares pass 65504 at once; accumulated in float32 they may."""
    x = (torch.arange(2000.0) % 2 * 400).half().view(-1, 1)
    mean, var = torch.zeros(1), torch.zeros(1)
    y = fused_batch_norm(x, None, None, mean, var, training=True, momentum=1.0)
    assert mean.item() == 200
    assert var.item() == pytest.approx(40000 * 2000 / 1999, rel=2**-22)  # four roundings of float32
    assert bool(y.isfinite().all())


@pytest.mark.parametrize("shape", [(3, 1, 5), (5, 1, 61, 67)], ids=str)
def test_lanes_beyond_the_data_cannot_spoil_sums(shape: tuple[int, ...]) -> None:
    """There x counts as 0, and (0 - mean) * invstd may overflow where no real xhat does."""
    x = torch.full(shape, 2.0**110, requires_grad=True)
    weight = torch.ones(1, requires_grad=True)
    y = fused_batch_norm(x, weight, None, None, None, training=True, eps=2.0**-40)
    dweight, dx = torch.autograd.grad(y, [weight, x], torch.ones(shape))
    assert dweight.item() == 0
    assert torch.equal(dx, torch.zeros(shape))
