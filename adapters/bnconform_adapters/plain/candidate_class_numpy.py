"""A class in a file whose objects take NumPy arrays."""

from bnconform_adapters.plain.arrays_numpy import NumpyArrays
from bnconform_adapters.plain.called_object import ObjectLayer


class Layer(NumpyArrays, ObjectLayer):
    """An object that keeps NumPy arrays."""
