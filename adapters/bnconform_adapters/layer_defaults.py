"""Defaults of a framework's own layer, read from a layer that is built here.

Adapters pass eps, momentum and statistics in every call, so no default shows in their outputs. A module of calls may
have ``defaults()``, which builds the layer as its user would. It returns a dict: `made`, the text that builds the
layer; `eps`, `momentum`, `mean` and `variance`, if the layer has them; `train`, a function of an x with 4 channels, and
`rank`, the rank of that x. One training call here shows which axis the layer uses for the channels.
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
"""Length of every axis of the test input, so that any axis can be the channels."""
TIME_LIMIT = 180.0
"""Time limit in seconds for a process that imports a framework on a busy machine."""


@dataclass(frozen=True)
class LayerDefaults:
    """Defaults of a layer.

    Attributes
    ----------
    made : str
        The text that builds the layer, or the function's name.
    eps, momentum : float or None
        momentum as the layer defines it; None if the argument is required.
    mean, variance : float or None
        Running statistics of a new layer; None if the caller stores them.
    axis : str
        The axis of the channels, in a batch with axes on both sides of axis 1; empty if the output does not show it.
    """

    made: str
    eps: float | None = None
    momentum: float | None = None
    mean: float | None = None
    variance: float | None = None
    axis: str = ""


def layer_defaults(entry: Entry) -> LayerDefaults | None:
    """Return the defaults of a bundled implementation; None if it has no layer of its own or fails.

    An implementation that needs a separate process is read there. No exception and no warning of a framework may end
    a run.
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
    """Read the defaults in the module of calls, and the axis of the channels when the layer trains."""
    module: Any = imported(f"bnconform_adapters.{entry.module}", entry.frameworks)
    if not hasattr(module, "defaults"):
        return None
    read = dict(module.defaults())
    made, train, rank = read.pop("made"), read.pop("train", None), read.pop("rank", 3)
    numbers: dict[str, Any] = {name: None if value is None else float(value) for name, value in read.items()}
    found = LayerDefaults(made, **numbers)
    return found if train is None else _with_axis(found, train, rank)


def _with_axis(found: LayerDefaults, train: Callable[[NDArray[Any]], Any], rank: int = 3) -> LayerDefaults:
    """Add the axis along which each slice of y has mean 0 and variance 1."""
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
