"""Keras' BatchNormalization with a mask, on each backend: no law asks for it, as no other layer has masks.

Backends other than TensorFlow have their turn in `test_own_process.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from suite_runs import names_here

from bnconform.judging.comparison import compare
from bnconform.judging.judge import STATISTICS
from bnconform.judging.oracle import expect
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case
from bnconform_adapters.frameworks import import_framework
from bnconform_adapters.registry import find
from bnconform_reference.dialect import KERAS

LAYERS = ("keras.tensorflow", "keras.jax", "keras.torch")
SHAPES = {"(N, C)": ((6, 3), (6,)), "(N, T, C)": ((4, 5, 3), (4, 5)), "broadcast": ((2, 3, 4, 2), (2, 3, 1))}


def calls() -> list[tuple[np.ndarray, np.ndarray]]:
    """x and a mask of each shape; then of one channel, and with a mask that keeps nothing."""
    rng = np.random.default_rng(0)
    masked = [(rng.integers(-8, 9, x) / 4 + 5, rng.random(mask) < 0.6) for x, mask in SHAPES.values()]
    return [*masked, (np.array([[1.0], [3.0], [8.0]]), np.array([1, 1, 0])), (np.ones((4, 2)), np.zeros(4))]


@cache
def found() -> list[dict[str, Any]]:
    """Return Keras' results for all of them, on the backend of this process."""
    import keras

    answers: list[dict[str, Any]] = []
    for x, mask in calls():
        layer = keras.layers.BatchNormalization(momentum=0.5)
        try:
            y = layer(keras.ops.array(x, "float32"), training=True, mask=keras.ops.array(mask, "bool"))
        except Exception as error:
            answers.append({"error": type(error).__name__})
            continue
        arrays = {"y": y, "running_mean": layer.moving_mean, "running_var": layer.moving_variance}
        answers.append({name: keras.ops.convert_to_numpy(array).tolist() for name, array in arrays.items()})
    return answers


@pytest.fixture(params=[name for name in names_here(LAYERS) if name in LAYERS])
def backend(request: pytest.FixtureRequest) -> str:
    """The backend of this process, where it is installed: TensorFlow, or the one that the process is for."""
    name: str = request.param
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}: {find(name).install}")
    keras = import_framework("keras")
    assert f"keras.{keras.backend.backend()}" == name
    return name.removeprefix("keras.")


@pytest.mark.parametrize("shape", SHAPES)
def test_masked_values_do_not_count(backend: str, shape: str) -> None:
    """The statistics are those of the values that the mask keeps, as if the others were not there."""
    i = list(SHAPES).index(shape)
    x, mask = calls()[i]
    kept = x[np.broadcast_to(mask, x.shape[:-1])].astype(np.float32)
    zeros, ones = np.zeros(x.shape[-1], np.float32), np.ones(x.shape[-1], np.float32)
    case = Case(kept, running_mean=zeros, running_var=ones, momentum=0.5, eps=1e-3)
    expected = expect(case, Claims(dialect=KERAS))
    for name in STATISTICS:
        got = np.array(found()[i][name], np.float32)
        assert (compare(got, expected[name]).ratio <= 1).all()


def test_mask_beside_one_channel(backend: str) -> None:
    """With one channel JAX and PyTorch lose the channel axis on the way, and raise: a defect, known here only."""
    assert found()[-2].get("error") == {"jax": "IndexError", "torch": "IndexError"}.get(backend)


def test_mask_that_keeps_nothing(backend: str) -> None:
    """A batch of which nothing is kept counts as zeros: mean and variance move halfway to 0."""
    last = found()[-1]
    assert (last["running_mean"], last["running_var"]) == ([0.0, 0.0], [0.5, 0.5])
