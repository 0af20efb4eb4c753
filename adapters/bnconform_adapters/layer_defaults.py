"""Defaults of a framework's own layer, read from the layer where it runs.

Adapters give eps, momentum and statistics in every call, so no default shows in their outputs. A module of calls may
have ``defaults()``, which makes the layer as its user would. It gives a dict: `made`, the text that makes the layer;
`eps`, `momentum`, `mean` and `variance`, as far as there are any; `train`, a function of an x with 4 channels, and
`rank`, the rank of that x. The layer is trained once here, to see which axis it takes for the channels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.call_adapter import imported
from bnconform_adapters.calls import quiet
from bnconform_adapters.entry import Entry
from bnconform_adapters.registry import find

SIZE = 4
"""Length of every axis of the probe, so that any axis may be the channels'."""
TIME_LIMIT = 180.0
"""Seconds for a process that imports a framework on a machine with much else to do."""


@dataclass(frozen=True)
class LayerDefaults:
    """Defaults of a layer.

    Attributes
    ----------
    made : str
        The text that makes the layer, or the function's name.
    eps, momentum : float or None
        momentum in the layer's own sense; None where it has to be given.
    mean, variance : float or None
        Running statistics of a new layer; None where the caller keeps them.
    axis : str
        The axis of the channels, in a batch with axes on both sides of axis 1; empty where it was not to be seen.
    """

    made: str
    eps: float | None = None
    momentum: float | None = None
    mean: float | None = None
    variance: float | None = None
    axis: str = ""


def layer_defaults(entry: Entry) -> LayerDefaults | None:
    """The defaults of a bundled implementation; None where it has no layer of its own, or cannot be asked.

    An implementation that needs a process of its own is asked there. A framework may raise anything, and warn of
    anything: that must not end a run.
    """
    if entry.environment is None:
        try:
            with quiet():
                return _ask(entry)
        except Exception:
            return None
    command = [sys.executable, "-W", "ignore", "-m", "bnconform_adapters.layer_defaults", entry.name]
    variables = {**os.environ, **dict(entry.environment)}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, check=True)
        return LayerDefaults(**json.loads(done.stdout.splitlines()[-1]))
    except (OSError, ValueError, IndexError, TypeError, subprocess.SubprocessError):
        return None


def _ask(entry: Entry) -> LayerDefaults | None:
    """The defaults in the module of calls, and the axis along which the layer normalizes when it trains."""
    module: Any = imported(f"bnconform_adapters.{entry.module}", entry.frameworks)
    if not hasattr(module, "defaults"):
        return None
    told = dict(module.defaults())
    made, train, rank = told.pop("made"), told.pop("train", None), told.pop("rank", 3)
    numbers: dict[str, Any] = {name: None if value is None else float(value) for name, value in told.items()}
    found = LayerDefaults(made, **numbers)
    return found if train is None else _with_axis(found, train, rank)


def _with_axis(found: LayerDefaults, train: Callable[[NDArray[Any]], Any], rank: int = 3) -> LayerDefaults:
    """The same with the axis along which each slice of y has mean 0 and variance 1."""
    x = (np.random.default_rng(0).standard_normal((SIZE,) * rank) * 3 + 5).astype(np.float32)
    x += np.arange(SIZE, dtype=np.float32).reshape(-1, *(1,) * (rank - 1))  # no two axes look alike
    y = np.asarray(train(x), np.float64)
    seen = [axis for axis in range(rank) if _normalized(np.moveaxis(y, axis, 0).reshape(SIZE, -1))]
    if len(seen) != 1:
        return found
    axis = seen[0]
    return replace(found, axis="the last" if axis == rank - 1 else f"axis {axis}")


def _normalized(slices: NDArray[Any]) -> bool:
    return bool(np.allclose(slices.mean(axis=1), 0, atol=1e-3) and np.allclose(slices.var(axis=1), 1, atol=1e-2))


if __name__ == "__main__":
    defaults = _ask(find(sys.argv[1]))
    print(json.dumps(None if defaults is None else asdict(defaults)))
