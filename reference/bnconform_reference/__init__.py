"""What batch normalization is: a float64 reference, its exact form, and the error that rounding may cause.

NumPy only. The definition is in :mod:`~bnconform_reference.definition`, the layer with state in
:mod:`~bnconform_reference.layer`, allowed errors in :mod:`~bnconform_reference.error_bounds`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bnconform_reference.dialect import PYTORCH, Dialect

if TYPE_CHECKING:
    from bnconform_reference.layer import BatchNorm
    from bnconform_reference.running_statistics import Moments, merge, moments, population_moments

__all__ = ["PYTORCH", "BatchNorm", "Dialect", "Moments", "merge", "moments", "population_moments"]


def __getattr__(name: str) -> Any:
    """Import what computes when it is first asked for: adapters need the names of dialects and dtypes only."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'layer' if name == 'BatchNorm' else 'running_statistics'}"), name)
