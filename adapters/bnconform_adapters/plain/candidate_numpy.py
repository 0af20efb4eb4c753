"""Functions on NumPy arrays in a file."""

import numpy as np

from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.calling import place


class Layer(FunctionsLayer):
    """The arrays that a caller keeps between calls."""

    def placed(self, array, layout):
        return place(array, layout)

    def handed_over(self, array, case):
        """The array as a function gets it."""
        if array is not None and case.read_only:
            array = array.view()
            array.flags.writeable = False
        return array

    def written(self, array, new):
        """The array with other contents."""
        if array is not None:
            array[...] = new
        return array

    def copied(self, array):
        """A copy of the array, or None."""
        if array is not None and not isinstance(array, (np.ndarray, np.generic)):
            raise TypeError(f"returned a {type(array).__name__} where a NumPy array is asked for")
        return None if array is None else np.array(array)

    def shared(self, outputs, inputs):
        """Pairs of an output and what else shares its memory."""
        present = [(name, one) for name, one in outputs.items() if one is not None and one.size]
        others = present + [(name, one) for name, one in inputs.items() if one is not None and one.size]
        return [
            f"{name} and {other}"
            for i, (name, one) in enumerate(present)
            for other, two in others[i + 1 :]
            if np.may_share_memory(one, two)
        ]

    def overrun(self, array):
        """Whether memory around it was written, which was NaN: more elements are numbers than the array has."""
        memory = array
        while isinstance(memory.base, np.ndarray):
            memory = memory.base
        own = array[:1] if array.strides[0] == 0 else array
        return memory.size < 2**32 and np.count_nonzero(~np.isnan(memory)) > np.count_nonzero(~np.isnan(own))


def second_order(case):
    return double_backward(Layer(case), case)


def jvp(case):
    return tangent(Layer(case), case)


def shards(*cases):
    return over_devices([Layer(case) for case in cases], cases)
