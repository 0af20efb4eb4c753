"""NumPy arrays, as the suite passes them to a file's code and gets them back."""

import numpy as np

from bnconform_adapters.plain.calling import overrun, place, shared
from bnconform_adapters.plain.kernel_file import wrong_kind


class NumpyArrays:
    """Conversions between a case's arrays and the arrays of a file's code, which are the same kind."""

    def placed(self, array, layout):
        return place(array, layout)

    def handed_over(self, array, case):
        """Return the array to pass to a function, read-only if the case says so."""
        if array is not None and case.read_only:
            array = array.view()
            array.flags.writeable = False
        return array

    def written(self, array, new):
        """Overwrite the array."""
        if array is not None:
            array[...] = new
        return array

    def copied(self, found, name):
        """Copy an array that a function returned as `name`; None stays None."""
        masked = isinstance(found, np.ma.MaskedArray)  # a subclass of ndarray in which values may be missing
        if found is not None and (masked or not isinstance(found, (np.ndarray, np.generic))):
            raise wrong_kind(found, "NumPy array", name)
        return None if found is None else np.array(found)

    def shared(self, outputs, inputs):
        return shared(outputs, inputs)

    def overrun(self, array):
        return overrun(array)
