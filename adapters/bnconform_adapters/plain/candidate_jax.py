"""Functions on JAX arrays in a file."""

from functools import cache

import jax
import numpy as np

from bnconform_adapters.plain.called_functions import FunctionsLayer, double_backward, over_devices, tangent
from bnconform_adapters.plain.kernel_file import cannot_tell, wrong_kind


@cache
def jax_device_of(file):
    """The first device of the platform that the file states, if JAX has it here."""
    platform = file.stated("DEVICE", "cpu")
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        cannot_tell(f"JAX has no {platform} here: {error}")


class Layer(FunctionsLayer):
    """The arrays that a caller keeps between calls."""

    def settings(self, case):
        return jax.enable_x64(case.x.dtype == np.float64)

    def placed(self, array, layout):
        """A JAX array, which is contiguous; a copy, since JAX may use NumPy's memory."""
        return None if array is None else jax.device_put(np.array(array), jax_device_of(self.file))

    def written(self, array, new):
        """Another array, since JAX's cannot be written."""
        return None if array is None else self.placed(new, "contiguous")

    def copied(self, found, name):
        """A NumPy array of what a function returned as `name`, or None."""
        if found is not None and not isinstance(found, jax.Array):
            raise wrong_kind(found, "jax.Array", name)
        return None if found is None else np.array(found)

    def shared(self, outputs, inputs):
        """Nothing: arrays that cannot be written may share memory."""
        return []

    def overrun(self, array):
        """False: memory around a JAX array cannot be seen."""
        return False


def second_order(case, file=None):
    return double_backward(Layer(case, file), case)


def jvp(case, file=None):
    return tangent(Layer(case, file), case)


def shards(*cases, file=None):
    return over_devices([Layer(case, file) for case in cases], cases)
