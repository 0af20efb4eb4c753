"""Functions on JAX arrays in a file."""

from functools import cache

import jax
import numpy as np

from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.kernel_file import cannot_tell, stated


@cache
def device():
    """The first device of the platform that the file states, if JAX has it here."""
    try:
        return jax.devices(stated("DEVICE", "cpu"))[0]
    except RuntimeError as error:
        cannot_tell(f"JAX has no {stated('DEVICE', 'cpu')} here: {error}")


class Layer(FunctionsLayer):
    """The arrays that a caller keeps between calls."""

    def settings(self, case):
        return jax.enable_x64(case.x.dtype == np.float64)

    def placed(self, array, layout):
        """A JAX array, which is contiguous; a copy, since JAX may use NumPy's memory."""
        return None if array is None else jax.device_put(np.array(array), device())

    def written(self, array, new):
        """Another array, since JAX's cannot be written."""
        return None if array is None else self.placed(new, "contiguous")

    def copied(self, found):
        """A NumPy array of what a function returned, or None."""
        if found is not None and not isinstance(found, jax.Array):
            raise TypeError(f"returned a {type(found).__name__} where a JAX array is asked for")
        return None if found is None else np.array(found)

    def shared(self, outputs, inputs):
        """None: what cannot be written may be shared."""
        return []

    def overrun(self, array):
        """What lies around a JAX array cannot be seen."""
        return False


def second_order(case):
    return double_backward(Layer(case), case)


def jvp(case):
    return tangent(Layer(case), case)


def shards(*cases):
    return over_devices([Layer(case) for case in cases], cases)
