"""A float64 reference of batch normalization, its exact form, and the errors that rounding may cause.

NumPy only. The definition is in :mod:`~bnconform_reference.definition`, the layer with state in
:mod:`~bnconform_reference.layer`, allowed errors in :mod:`~bnconform_reference.error_bounds`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bnconform_reference.dialect import PYTORCH, Dialect

if TYPE_CHECKING:
    from bnconform_reference.convert import Converted, convert_statistics
    from bnconform_reference.layer import BatchNorm
    from bnconform_reference.running_statistics import Moments, merge, moments, population_moments
    from bnconform_reference.synchronised import merged_moments

_HOMES = {
    "BatchNorm": "layer",
    "Converted": "convert",
    "Moments": "running_statistics",
    "convert_statistics": "convert",
    "merge": "running_statistics",
    "merged_moments": "synchronised",
    "moments": "running_statistics",
    "population_moments": "running_statistics",
}
__all__ = [
    "PYTORCH",
    "BatchNorm",
    "Converted",
    "Dialect",
    "Moments",
    "convert_statistics",
    "merge",
    "merged_moments",
    "moments",
    "population_moments",
]


def __getattr__(name: str) -> Any:
    """Import a module that computes on first use: adapters need only the names of dialects and dtypes."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
