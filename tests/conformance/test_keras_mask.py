"""What Keras' BatchNormalization makes of a mask, on each backend: no law asks for it, as no other layer has masks."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from suite_runs import ROOT, run

from bnconform.judging.comparison import compare
from bnconform.judging.judge import STATISTICS
from bnconform.judging.oracle import expect
from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case
from bnconform_adapters.registry import find
from bnconform_reference.dialect import KERAS

SHAPES = {"(N, C)": ((6, 3), (6,)), "(N, T, C)": ((4, 5, 3), (4, 5)), "broadcast": ((2, 3, 4, 2), (2, 3, 1))}
CALLS = """
import json
import sys

import keras
import numpy as np

found = []
for x, mask in json.load(sys.stdin):
    layer = keras.layers.BatchNormalization(momentum=0.5)
    try:
        y = layer(keras.ops.array(x, "float32"), training=True, mask=keras.ops.array(mask, "bool"))
    except Exception as error:
        found.append({"error": type(error).__name__})
        continue
    arrays = {"y": y, "running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    found.append({name: keras.ops.convert_to_numpy(array).tolist() for name, array in arrays.items()})
print(json.dumps(found))
"""


def calls() -> list[tuple[np.ndarray, np.ndarray]]:
    """x and a mask of each shape; then of one channel, and with a mask that keeps nothing."""
    rng = np.random.default_rng(0)
    masked = [(rng.integers(-8, 9, x) / 4 + 5, rng.random(mask) < 0.6) for x, mask in SHAPES.values()]
    return [*masked, (np.array([[1.0], [3.0], [8.0]]), np.array([1, 1, 0])), (np.ones((4, 2)), np.zeros(4))]


@cache
def found(backend: str) -> list[dict[str, Any]]:
    """What Keras gives for all of them, in a process that runs on this backend."""
    given = json.dumps([(x.tolist(), mask.astype(int).tolist()) for x, mask in calls()])
    done = run("-c", CALLS, cwd=ROOT, variables={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, given=given)
    assert done.status == 0, done.err
    answers: list[dict[str, Any]] = json.loads(done.out.splitlines()[-1])
    return answers


@pytest.fixture(params=["tensorflow", "jax", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that is installed."""
    name: str = request.param
    if missing := find(f"keras.{name}").missing():
        pytest.skip(f"keras.{name} needs {', '.join(missing)}: {find(f'keras.{name}').install}")
    return name


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
        got = np.array(found(backend)[i][name], np.float32)
        assert (compare(got, expected[name]).ratio <= 1).all()


def test_mask_beside_one_channel(backend: str) -> None:
    """With one channel JAX and PyTorch lose the channel axis on the way, and raise: a defect, known here only."""
    assert found(backend)[-2].get("error") == {"jax": "IndexError", "torch": "IndexError"}.get(backend)


def test_mask_that_keeps_nothing(backend: str) -> None:
    """A batch of which nothing is kept counts as zeros: mean and variance move halfway to 0."""
    last = found(backend)[-1]
    assert (last["running_mean"], last["running_var"]) == ([0.0, 0.0], [0.5, 0.5])
