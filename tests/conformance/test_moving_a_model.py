"""A network trained on digits in one framework, moved to another, infers as if it had been trained there."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import numpy as np
import pytest
from digit_models import MODELS, SIDE, STATISTICS, Arrays, new_arrays

from bnconform_adapters.registry import create, find
from bnconform_reference import convert_statistics
from bnconform_reference.dialect import Dialect

SAMPLES, STEPS, WEIGHT, EPS = 6, 40, 0.1, 1e-3
FAR_BELOW = 1e-6
"""Share of what a missing conversion costs: float64 leaves 1e-9 of it, after all steps."""


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Batches of digits, a few samples each: the fewer, the more the stored variances differ."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    order = np.random.default_rng(5).permutation(len(digits.target))[: SAMPLES * STEPS].reshape(STEPS, SAMPLES)
    return [(digits.images[rows][:, None] / 16, digits.target[rows]) for rows in order]


def unseen() -> np.ndarray:
    """Digits for inference."""
    datasets = pytest.importorskip("sklearn.datasets")
    return datasets.load_digits().images[:40][:, None] / 16


def dialect(name: str) -> Dialect:
    """What the framework's batch norm is claimed to do."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")
    return create(find(name)).claims.dialect


@cache
def trained(name: str) -> Arrays:
    """The network after training in a framework, whose momentum has its own sense."""
    momentum = WEIGHT if dialect(name).momentum_weighs == "new" else 1 - WEIGHT
    return MODELS[name].train(new_arrays(), batches(), EPS, momentum)


def logits(name: str, arrays: Arrays) -> np.ndarray:
    """Inference in a framework."""
    return MODELS[name].infer(arrays, unseen(), EPS)


@pytest.mark.parametrize(("source", "target"), list(permutations(MODELS, 2)))
def test_moved_model_infers_as_one_trained_there(source: str, target: str) -> None:
    """With converted statistics the logits are those of the target's own training, as far as float64 goes."""
    found = convert_statistics(
        trained(source)["running_mean"],
        trained(source)["running_var"],
        source=dialect(source),
        target=dialect(target),
        momentum=WEIGHT if dialect(source).momentum_weighs == "new" else 1 - WEIGHT,
        eps=EPS,
        n=SAMPLES * SIDE * SIDE,
        steps=STEPS,
    )
    assert found.exact
    assert found.eps == EPS
    moved = trained(source) | {name: getattr(found, name) for name in STATISTICS}
    own, copied = logits(target, trained(target)), logits(target, trained(source))
    error = np.abs(logits(target, moved) - own).max()
    effect = np.abs(logits(target, new_arrays()) - own).max()
    if dialect(source).stored_variance != dialect(target).stored_variance:
        effect = np.abs(copied - own).max()
        assert effect > 1e-4  # or there would be nothing to convert
    assert error <= FAR_BELOW * effect


@pytest.mark.parametrize("name", MODELS)
def test_model_was_trained(name: str) -> None:
    """Training moved every array, and the network tells digits apart better than it did."""
    before, after = new_arrays(), trained(name)
    assert all(np.abs(after[key] - before[key]).max() > 1e-3 for key in before)
    images, labels = (np.concatenate(parts) for parts in zip(*batches(), strict=True))

    def loss(arrays: Arrays) -> float:
        scores = MODELS[name].infer(arrays, images, EPS)
        scores = scores - scores.max(axis=1, keepdims=True)
        chosen = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(axis=1))
        return -float(chosen.mean())

    assert loss(after) < 0.7 * loss(before)
