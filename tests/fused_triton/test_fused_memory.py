"""Memory: layouts, strides, guard zones, aliasing, and offsets beyond 2^31."""

from __future__ import annotations

import mmap
from typing import Any

import pytest
import torch
from fused_judge import Problem, check, ratios, run, tensors

from bnconform_adapters.fused_triton import fused_batch_norm, interpreted, layout

SHAPES = [(4, 5, 6, 3), (5, 3, 61, 67), (9, 5)]
CANARY = -77.0
GUARD = 64


def embedded(t: torch.Tensor) -> torch.Tensor:
    """The same values, dense strides kept, in the middle of memory full of NaN."""
    storage = torch.full((t.numel() + 2 * GUARD,), float("nan"), dtype=t.dtype)
    inside = storage.as_strided(t.shape, t.stride(), GUARD)
    inside.copy_(t.detach())
    return inside.requires_grad_() if t.requires_grad else inside


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_guard_zones_are_neither_read_nor_written(
    shape: tuple[int, ...], channels_last: bool, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN around every input changes no bit; canaries around every result and workspace survive.

    Results and workspaces start full of NaN, so nothing relies on what memory held before.
    """
    problem = Problem(shape, training=training, relu=True, residual=True, channels_last=channels_last)
    plain = tensors(problem)
    expected = run(problem, plain)
    guarded = []
    real_empty, real_empty_like = torch.empty, torch.empty_like

    def empty(*size: Any, **options: Any) -> torch.Tensor:
        like = real_empty(*size, **options)
        return guard(like)

    def empty_like(t: torch.Tensor, **options: Any) -> torch.Tensor:
        return guard(real_empty_like(t, **options))

    def guard(like: torch.Tensor) -> torch.Tensor:
        storage = torch.full((like.numel() + 2 * GUARD,), CANARY, dtype=like.dtype)
        inside = storage.as_strided(like.shape, like.stride(), GUARD)
        inside.fill_(float("nan"))
        guarded.append((storage, like.numel()))
        return inside

    given = {name: None if t is None else embedded(t) for name, t in plain.items()}
    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch, "empty_like", empty_like)
    got = run(problem, given)
    monkeypatch.undo()
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    assert len(guarded) >= 5, "y, statistics, dx, dweight and dbias at least"
    for storage, count in guarded:
        assert bool((storage[:GUARD] == CANARY).all())
        assert bool((storage[GUARD + count :] == CANARY).all())
    for name, t in given.items():
        if t is not None:
            assert torch.equal(t, plain[name]), f"{name} was modified"


def layouts(t: torch.Tensor) -> dict[str, torch.Tensor]:
    """Tensors of the same values and other strides."""
    wide = torch.stack([t, t], dim=-1)
    padded = torch.cat([t, t], dim=1)
    return {
        "transposed": t.transpose(0, -1).contiguous().transpose(0, -1),
        "channels_first": t.transpose(0, 1).contiguous().transpose(0, 1),
        "every_other": wide[..., 0],
        "sliced_channels": padded[:, : t.shape[1]],
        "sliced_samples": torch.cat([t, t])[: t.shape[0]],
        "channels_last": t.movedim(1, -1).contiguous().movedim(-1, 1),
        "sliced_channels_last": padded.movedim(1, -1).contiguous().movedim(-1, 1)[:, : t.shape[1]],
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_strides_of_x_and_residual_are_right(shape: tuple[int, ...]) -> None:
    """Views of all kinds meet the same bounds."""
    problem = Problem(shape, residual=True, relu=True)
    plain = tensors(problem)
    for name, x in layouts(plain["x"].detach()).items():
        given = {**plain, "x": x.requires_grad_(), "residual": layouts(plain["residual"].detach())[name]}
        given["residual"].requires_grad_()
        found = ratios(problem, given, run(problem, given), "TW")
        assert max(found.values()) <= 1, (name, found)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_strides_of_dy_give_the_same_bits(shape: tuple[int, ...], channels_last: bool, training: bool) -> None:
    """The gradient does not depend on how dy lies in memory."""
    problem = Problem(shape, training=training, channels_last=channels_last, relu=True, residual=True)
    given = tensors(problem)
    expected = run(problem, given)
    for name, dy in layouts(given["dy"]).items():
        got = run(problem, {**given, "dy": dy})
        assert all(torch.equal(got[key], expected[key]) for key in expected), name


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_expanded_dy_is_read_as_what_it_is(channels_last: bool) -> None:
    """sum().backward() hands over one number with stride 0 everywhere."""
    problem = Problem((4, 5, 6, 3), channels_last=channels_last)
    given = tensors(problem)
    dy = torch.tensor(0.75).expand(problem.shape)
    expected = run(problem, {**given, "dy": dy.contiguous()})
    got = run(problem, {**given, "dy": dy})
    assert all(torch.equal(got[key], expected[key]) for key in expected)


def test_output_keeps_the_memory_format() -> None:
    """NCHW-like in, NCHW-like out; channels-last likewise; neither is copied on the way in."""
    x = torch.randn(4, 5, 6, 3)
    for x_like in (x, x.to(memory_format=torch.channels_last), x.transpose(0, 1).contiguous().transpose(0, 1)):
        same, _, out, _ = layout.viewable(x_like)
        assert same is x_like, "copied"
        assert out.stride() == x_like.stride()


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 5, 61, 67)], ids=str)
def test_strided_parameters_and_buffers_are_used_in_place(shape: tuple[int, ...]) -> None:
    """Every other element of a longer buffer: read and updated there, the rest untouched."""
    problem = Problem(shape)
    given = tensors(problem)
    expected = run(problem, given)
    strided = {name: torch.full((10,), CANARY) for name in ("weight", "bias", "running_mean", "running_var")}
    for name, buffer in strided.items():
        buffer[::2] = given[name].detach()
    view = {name: buffer[::2] for name, buffer in strided.items()}
    y = fused_batch_norm(given["x"], **view, training=True, momentum=problem.momentum)
    assert torch.equal(y, expected["y"])
    for name in ("running_mean", "running_var"):
        assert torch.equal(view[name], expected[name])
    assert all(bool((buffer[1::2] == CANARY).all()) for buffer in strided.values())


@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 5, 61, 67)], ids=str)
def test_statistics_may_be_the_parameters(shape: tuple[int, ...]) -> None:
    """running_mean is bias and running_var is weight: y uses the values from before the update."""
    problem = Problem(shape)
    given = tensors(problem)
    expected = run(problem, {**given, "running_mean": given["bias"].detach(), "running_var": given["weight"].detach()})
    weight, bias = given["weight"].detach().clone(), given["bias"].detach().clone()
    y = fused_batch_norm(given["x"], weight, bias, bias, weight, training=True, momentum=problem.momentum)
    assert torch.equal(y, expected["y"])
    assert torch.equal(bias, expected["running_mean"])
    assert torch.equal(weight, expected["running_var"])


def test_results_alias_neither_inputs_nor_each_other() -> None:
    """Writing into a result changes nothing else."""
    problem = Problem((4, 5, 6), residual=True, relu=True)
    given = tensors(problem)
    got = run(problem, given)
    owners = [t.untyped_storage().data_ptr() for t in got.values()]
    owners += [t.untyped_storage().data_ptr() for t in given.values() if t is not None]
    assert len(set(owners)) == len(owners)


def test_autograd_notices_that_buffers_changed() -> None:
    """The in-place update counts as one, so that a stale use elsewhere is an error and not a wrong number."""
    buffers = torch.zeros(3), torch.ones(3)
    before = [t._version for t in buffers]
    fused_batch_norm(torch.randn(4, 3), None, None, *buffers, training=True)
    assert all(t._version > old for t, old in zip(buffers, before, strict=True))


def sparse(elements: int) -> torch.Tensor:
    """float16 memory that costs only the pages that are touched."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return torch.frombuffer(mmap.mmap(-1, 2 * elements, flags=flags), dtype=torch.float16)


@pytest.mark.skipif(not interpreted, reason="compiled kernels take GPU memory, which is never sparse")
@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        pytest.param((2, 3, 5), (2**31 + 8, 5, 1), id="rows_apart"),
        pytest.param((2, 3, 5), (6, 2**30 + 8, 1), id="channels_apart"),
        pytest.param((40, 2, 600), (2**26, 600, 1), id="rows_add_up"),
        pytest.param((5, 3), (2**30 + 8, 1), id="channels_last"),
        pytest.param((3000, 3), (2**20, 1), id="channels_last_split"),
    ],
)
def test_offsets_beyond_32_bits(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """x, residual and dy that reach past 2^31 elements give what dense copies of them give."""
    problem = Problem(shape, "float16", relu=True, residual=True)
    plain = tensors(problem)
    expected = run(problem, plain)
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    assert reach > 2**31
    given = dict(plain)
    for name in ("x", "residual", "dy"):
        given[name] = sparse(reach + 1).as_strided(shape, strides)
        given[name].copy_(plain[name].detach())
        assert layout.viewable(given[name])[0] is given[name], "copied"
    given["x"].requires_grad_()
    given["residual"].requires_grad_()
    got = run(problem, given)
    assert all(torch.equal(got[key], expected[key]) for key in expected)


@pytest.mark.skipif(not interpreted, reason="compiled kernels take GPU memory, which is never sparse")
def test_results_beyond_32_bits() -> None:
    """A result whose rows lie 2^31 elements apart is written where it belongs."""
    from bnconform_adapters.fused_triton.launch import ABSENT, Operand, Settings
    from bnconform_adapters.fused_triton.launch_forward import Vectors, _normalize

    x = torch.randn(2, 3, 8).half()
    y = sparse(2**31 + 64).as_strided((2, 3, 8), (2**31 + 8, 8, 1))
    mean, invstd = torch.zeros(3), torch.ones(3)
    source, target = (Operand(t, layout.channel_view(t)) for t in (x, y))
    settings = Settings(training=True, momentum=0.1, eps=0.0, relu=False)
    _normalize(source, target, ABSENT, Vectors(), mean, invstd, (None, None), settings, variance=False)
    assert torch.equal(y, x)


def test_stray_sizes_of_one_do_not_confuse_the_layout() -> None:
    """Axes of size 1 may have any stride."""
    for shape in ((1, 4, 1, 6), (4, 1, 1, 6), (4, 5, 1, 1), (1, 5, 3, 1), (6, 1)):
        check(Problem(shape))
        check(Problem(shape, channels_last=True))
