"""What one training step in a framework's own words is, without adapter and suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Step:
    """What one training step gave; parameters are at their initial values."""

    y: np.ndarray
    mean: np.ndarray
    var: np.ndarray


@dataclass(frozen=True)
class Plain:
    """A framework's layer: its defaults, and one training step on x (n, C) with given momentum and affine parts.

    What does not train has `infer` instead: inference on x with given affine parts and initial statistics.
    """

    name: str
    defaults: Callable[[], tuple[float | None, float | None]]
    step: Callable[..., Step] | None
    infer: Callable[..., np.ndarray] | None = None


def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The frameworks' warnings are not what is tested."""

    def call(*arguments: Any, **named: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **named)

    return call
