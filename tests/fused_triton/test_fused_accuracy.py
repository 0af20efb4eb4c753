"""Values and gradients against the exact formulas, at grade TW: every mode, dtype, layout and tile edge."""

from __future__ import annotations

from typing import Any

import pytest
from fused_judge import Problem, check, ratios, run, tensors

from bnconform_adapters.fused_triton import launch, plan

DTYPES = ("float16", "bfloat16", "float32", "float64")
MODES = ((False, False), (True, False), (False, True), (True, True))
# Long enough for split statistics, at both layouts.
SPLIT = (5, 3, 61, 67)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("relu", "residual"), MODES)
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_modes_are_within_the_allowed_error_on_chip(
    dtype: str, channels_last: bool, relu: bool, residual: bool, training: bool
) -> None:
    """Where a channel fits on chip, one pass gives all results."""
    check(Problem((4, 5, 7, 6), dtype, training, relu, residual, channels_last))


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("relu", "residual"), MODES)
def test_modes_are_within_the_allowed_error_split(relu: bool, residual: bool, training: bool, tiles: Any) -> None:
    """Where it does not, split statistics and sums do."""
    # Half of all combinations; any four of the five settings meet in every way.
    channels_last = training ^ relu ^ residual ^ (tiles is plan.COMPILED)
    check(Problem(SPLIT, "float32", training, relu, residual, channels_last))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_split_statistics_in_every_dtype(dtype: str, channels_last: bool) -> None:
    """float64 keeps its precision through workspaces and merges; half types get float32's."""
    check(Problem(SPLIT, dtype, relu=True, residual=True, channels_last=channels_last))


@pytest.mark.parametrize("channels", [1, 3, 65, 130])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("rest", [(2, 1), (3, 31), (5, 33)], ids=str)
def test_channels_that_are_no_power_of_two(channels: int, channels_last: bool, rest: tuple[int, int]) -> None:
    """Channel blocks that stick out are masked."""
    check(Problem((rest[0], channels, rest[1]), channels_last=channels_last))


@pytest.mark.parametrize("length", [2, 3, 127, 128, 129, 1023, 1025, 4097, 8191, 8193, 16384, 16385])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_lengths_at_tile_edges(length: int, channels_last: bool) -> None:
    """Tiles, the on-chip limits and their neighbours."""
    check(Problem((1, 3, length), channels_last=channels_last))


@pytest.mark.parametrize(
    "shape", [(7, 3), (33, 130), (6, 3, 5), (3, 4, 3, 5), (2, 3, 4, 3, 2), (70000, 2), (300, 2, 9)], ids=str
)
def test_every_rank(shape: tuple[int, ...]) -> None:
    """(N, C) to (N, C, D, H, W) are the same problem."""
    check(Problem(shape, relu=True))


@pytest.mark.parametrize("affine", [(True, False), (False, True), (False, False)], ids=str)
@pytest.mark.parametrize("shape", [(4, 5, 6), SPLIT], ids=str)
def test_weight_or_bias_may_be_absent(affine: tuple[bool, bool], shape: tuple[int, ...]) -> None:
    """An absent weight is 1, an absent bias 0, and neither has a gradient."""
    check(Problem(shape, affine=affine, relu=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(4, 5, 6), SPLIT], ids=str)
def test_parameters_in_half_precision(dtype: str, shape: tuple[int, ...]) -> None:
    """A module cast to half keeps parameters and statistics in half; arithmetic stays in float32."""
    check(Problem(shape, dtype, half_parameters=True))


@pytest.mark.parametrize("eps", [0.0, 1e-12, 1e-3, 1.0])
@pytest.mark.parametrize("momentum", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_eps_and_momentum_arrive_whole(eps: float, momentum: float, dtype: str) -> None:
    """Neither is rounded to float32 on its way into a float64 kernel."""
    check(Problem((6, 3, 5), dtype, eps=eps, momentum=momentum))


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("shape", [(4, 3, 30, 30), SPLIT, (40000, 2), (1, 2, 40000)], ids=str)
def test_grade_holds_at_large_means(offset: float, shape: tuple[int, ...], tiles: Any) -> None:
    """Two-pass tiles and Chan merges: the error grows with |mean| / sd no faster than TW allows."""
    check(Problem(shape, offset=offset))


def test_single_pass_reaches_grade_tt() -> None:
    """On chip the variance's error does not depend on |mean| / sd to first order."""
    problem = Problem((16, 3, 31, 31), offset=1e3)
    given = tensors(problem)
    found = ratios(problem, given, run(problem, given), "TT")
    assert max(found.values()) <= 1


def test_merge_of_many_partials_is_within_the_allowed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """More partial results than one program merges go through rounds of merging."""
    small = plan.Budget(
        on_chip=16, on_chip_channels_last=16, tile=64, group=16, enough_programs=16, tiles_per_program=2, merge=4
    )
    monkeypatch.setattr(launch, "BUDGET", small)
    for channels_last in (False, True):
        check(Problem((3, 2, 200), channels_last=channels_last, offset=100.0))
