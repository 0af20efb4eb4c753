"""What batch normalization is: a float64 reference, its exact form, and the error that rounding may cause.

NumPy only. The definition is in :mod:`~bnconform_reference.definition`, the layer with state in
:mod:`~bnconform_reference.layer`, allowed errors in :mod:`~bnconform_reference.error_bounds`.
"""

from bnconform_reference.dialect import PYTORCH, Dialect
from bnconform_reference.layer import BatchNorm
from bnconform_reference.running_statistics import Moments, merge, moments, population_moments

__all__ = ["PYTORCH", "BatchNorm", "Dialect", "Moments", "merge", "moments", "population_moments"]
