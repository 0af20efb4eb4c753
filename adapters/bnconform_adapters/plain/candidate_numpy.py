"""Functions on NumPy arrays in a file."""

from functools import partial

import numpy as np

from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.calling import overrun, place, shared
from bnconform_adapters.plain.kernel_file import wrong_kind


class Layer(FunctionsLayer):
    """NumPy arrays that a caller stores between calls."""

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


second_order = partial(double_backward, Layer)
jvp = partial(tangent, Layer)
shards = partial(over_devices, Layer)
