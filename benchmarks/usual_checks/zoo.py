"""The zoo's batch norms, faulty and correct, as the checks call them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import hunt

from bnconform_adapters.contract import Adapter
from bnconform_adapters.worker.client import WorkerAdapter
from bnconform_adapters.worker.limits import Limits


def faulty() -> list[tuple[str, str]]:
    """Family and name of every faulty specimen."""
    return [(family, row.name) for family, row in hunt.specimens()]


def correct() -> list[tuple[str, str]]:
    """The correct makes, likewise."""
    return [("correct", name) for name in hunt.correct_names()]


def about(family: str) -> str:
    """What a family of faults is about, so that it reads on after the word "Faults"."""
    first = (import_module(f"faults_{family}").__doc__ or family).splitlines()[0]
    return first.removeprefix("Faults ").partition(":")[0].partition(", to ")[0].rstrip(".")


@contextmanager
def specimen(family: str, name: str) -> Iterator[Adapter]:
    """A fresh one; what would end this process is in a worker, with the time that a candidate file has."""
    path = hunt.ZOO / "correct.py" if family == "correct" else hunt.file_of(family)
    if family != "fatal":
        yield hunt.subject(path, name)
        return
    adapter = WorkerAdapter(f"{path}:{name}", Limits())
    try:
        yield adapter
    finally:
        adapter.close()
