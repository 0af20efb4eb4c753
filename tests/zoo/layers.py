"""Classes that stand in for bnconform_reference.BatchNorm, as implementations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from bnconform_adapters.call_adapter import CallAdapter
from bnconform_adapters.numpy import REFERENCE, reference
from bnconform_reference.layer import BatchNorm


class LayerAdapter(CallAdapter):
    """A class that is called as the reference's is, with the reference's claims."""

    def __init__(self, name: str, make: Callable[..., BatchNorm]) -> None:
        calls: Any = {f: partial(getattr(reference, f), make=make) for f in ("Layer", "second_order", "jvp")}
        calls |= {f: partial(getattr(reference, f), make=make) for f in ("shards", "population")}
        super().__init__(name, REFERENCE, SimpleNamespace(**calls))
