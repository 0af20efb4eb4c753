"""Compute population statistics of one batch norm after the other, for any framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from bnconform_adapters.contract import AnyArray
from bnconform_reference.running_statistics import Moments, merge, moments


class Populations(Protocol):
    """Interface to a model: record the inputs of its batch norms and set their statistics."""

    def names(self) -> list[str]:
        """Return the names of the batch norms with running statistics, in any order."""

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """Call the model with every batch in inference mode, and record the inputs of its batch norms."""

    def store(self, name: str, population: Moments) -> None:
        """Set the running statistics of a batch norm."""

    def result(self) -> Any:
        """Return the changed model, or new variables."""


class Record:
    """Moments of all inputs of each batch norm, in the order of their first calls."""

    def __init__(self) -> None:
        self.found: dict[str, Moments] = {}

    def add(self, name: str, x: AnyArray) -> None:
        """Add an input of a batch norm, with channels on axis 1."""
        part = moments(x)
        self.found[name] = merge(self.found[name], part) if name in self.found else part


def compute_each(populations: Populations, batches: Iterable[Any]) -> None:
    """Read the data once for every batch norm; each time, set the statistics of the next one in calling order."""
    if iter(batches) is batches:
        raise ValueError("the batches can be read only once; pass a list of them, or a loader")
    names = populations.names()
    if not names:
        raise ValueError("the model has no batch norm with running statistics")
    done: list[str] = []
    while len(done) < len(names):
        record = Record()
        populations.run(batches, record)
        if not record.found:
            raise ValueError("the data set has no batches; pass at least one")
        if unreached := sorted(set(names) - set(record.found)):
            raise ValueError(f"no data reach batch norm {unreached[0]!r} in inference; pass a model without it")
        name = next(name for name in record.found if name not in done)
        populations.store(name, record.found[name])
        done.append(name)


def inputs_of(batch: Any) -> Any:
    """Return the inputs of a batch, which may also hold labels."""
    return batch[0] if isinstance(batch, tuple | list) else batch
