"""Settling the statistics of one batch norm after the other, whatever the framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from bnconform_adapters.contract import AnyArray
from bnconform_reference.running_statistics import Moments, merge, moments


class Populations(Protocol):
    """A model whose batch norms can be recorded and set."""

    def names(self) -> list[str]:
        """The batch norms with running statistics, in any order."""

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """Put every batch to the model in inference mode, and record what comes to its batch norms."""

    def store(self, name: str, population: Moments) -> None:
        """Set the running statistics of one."""

    def result(self) -> Any:
        """What the caller gets."""


class Record:
    """Moments of all values that came to each batch norm, in the order of their first calls."""

    def __init__(self) -> None:
        self.found: dict[str, Moments] = {}

    def add(self, name: str, x: AnyArray, axis: int = 1) -> None:
        """Take in what came to a batch norm whose channels are on `axis`."""
        part = moments(np.moveaxis(x, axis, 1))
        self.found[name] = merge(self.found[name], part) if name in self.found else part


def again_and_again(populations: Populations, batches: Iterable[Any]) -> None:
    """Go through the data once for every batch norm, and settle the first that is not settled yet."""
    if iter(batches) is batches:
        raise ValueError("the batches can be gone through once only; pass a list of them, or a loader")
    names = populations.names()
    if not names:
        raise ValueError("the model has no batch norm with running statistics")
    settled: list[str] = []
    while len(settled) < len(names):
        record = Record()
        populations.run(batches, record)
        if not record.found:
            raise ValueError("the data set has no batches; pass at least one")
        if unreached := sorted(set(names) - set(record.found)):
            raise ValueError(f"no data come to batch norm {unreached[0]!r} in inference; pass a model without it")
        name = next(name for name in record.found if name not in settled)
        populations.store(name, record.found[name])
        settled.append(name)


def inputs_of(batch: Any) -> Any:
    """The inputs of a batch that may hold labels, too."""
    return batch[0] if isinstance(batch, tuple | list) else batch
