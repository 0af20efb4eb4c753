"""Bounds of merged statistics, against what devices compute: Chan's merges and weighted means, in float32."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bnconform_reference.definition import forward_training
from bnconform_reference.double_double import high
from bnconform_reference.error_bounds import training_forward_bounds
from bnconform_reference.precision import Grade, Precision

Rows = NDArray[np.float32]
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def own(part: Rows) -> Pair:
    """A shard's mean and squares, by two passes."""
    mean = part.mean(axis=1)
    return mean, np.square(part - mean[:, None]).sum(axis=1)


def by_chan(parts: list[Rows]) -> Pair:
    """Chan's formula from shard to shard; mean and biased variance."""
    count, (mean, squares) = parts[0].shape[1], own(parts[0])
    for part in parts[1:]:
        n, (other, more) = part.shape[1], own(part)
        delta, whole = other - mean, count + n
        mean = mean + delta * np.float32(n / whole)
        squares = squares + more + delta * delta * np.float32(count * n / whole)
        count = whole
    return mean, squares / np.float32(count)


def by_weighted_means(parts: list[Rows]) -> Pair:
    """The mean of the means, then squares about it."""
    counts, found = [np.float32(part.shape[1]) for part in parts], [own(part) for part in parts]
    whole = np.float32(sum(counts))
    mean = sum(n * one for n, (one, _) in zip(counts, found, strict=True)) / whole
    squares = sum(more + n * (one - mean) ** 2 for n, (one, more) in zip(counts, found, strict=True))
    return np.asarray(mean), np.asarray(squares / whole)


def worst(x: Rows, found: Pair, grade: Grade, shards: list[int]) -> float:
    """Largest error of either statistic, as a multiple of the allowed one."""
    rows, one = x.astype(np.float64), np.ones((len(x), 1))
    exact = forward_training(rows, one, 0 * one, 1e-5, exact=True)
    bounds = training_forward_bounds(
        rows, one, 0 * one, 1e-5, exact, Precision.for_dtype("float32", grade), shards=shards
    )
    pairs = ((found[0], exact.mean, bounds.mean), (found[1], exact.variance, bounds.variance))
    return max(float((np.abs(high(value)[:, 0] - got) / bound[:, 0]).max()) for got, value, bound in pairs)


def cut(x: Rows, sizes: list[int]) -> list[Rows]:
    """Neighbouring columns for each device."""
    return [np.ascontiguousarray(x[:, a:b]) for a, b in pairwise([0, *np.cumsum(sizes)])]


@pytest.mark.parametrize("grade", ["TT", "TW", "BT", "NT", "NW"])
@pytest.mark.parametrize("merged", [by_chan, by_weighted_means])
def test_merges_of_any_sizes_are_allowed(grade: Grade, merged: Callable[[list[Rows]], Pair]) -> None:
    """Small shards beside large ones, far from them or near, at any ratio of mean to deviation."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = [int(n) for n in rng.choice([1, 2, 3, 30, 500], rng.integers(2, 5))]
        offsets = [rng.choice([0.0, 1.0, 1e3, 1e5]) * rng.standard_normal((4, 1)) for _ in sizes]
        if rng.random() < 0.5:  # one batch, cut at random
            offsets = [offsets[0]] * len(sizes)
        deviation = rng.choice([1e-3, 1.0])
        x = np.concatenate(
            [at + deviation * rng.standard_normal((4, n)) for at, n in zip(offsets, sizes, strict=True)], axis=1
        ).astype(np.float32)
        assert worst(x, merged(cut(x, sizes)), grade, sizes) <= 1


def test_single_batch_is_not_allowed_what_merges_are() -> None:
    """What a small shard far from a large one costs is beyond the bound of sums in any order, and allowed in shards."""
    rng = np.random.default_rng(1)
    beyond = 0.0
    for _ in range(50):
        first = np.full((1, 1), 73000 + rng.standard_normal(), np.float32)
        x = np.concatenate([first, (0.8 + rng.standard_normal((1, 34))).astype(np.float32)], axis=1)
        found = by_chan(cut(x, [1, 34]))
        beyond = max(beyond, worst(x, found, "NW", []))
        assert worst(x, found, "NW", [1, 34]) <= 1
    assert beyond > 1


def test_empty_shards_are_nothing_to_merge() -> None:
    """One shard that has all values has the bounds of a batch."""
    x = np.random.default_rng(2).standard_normal((2, 8)).astype(np.float32)
    found = by_chan([x])
    assert worst(x, found, "TT", [0, 8, 0]) == worst(x, found, "TT", [])
