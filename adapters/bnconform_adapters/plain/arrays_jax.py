"""JAX arrays, as the suite passes them to a file's code and gets them back."""

from functools import cache

import jax
import numpy as np

from bnconform_adapters.plain.kernel_file import cannot_tell, wrong_kind


@cache
def jax_device_of(file):
    """Return the first device of the platform that the file states; leave the script if JAX has no such platform."""
    platform = file.stated("DEVICE", "cpu")
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        cannot_tell(f"JAX has no {platform} here: {error}")


class JaxArrays:
    """Conversions between a case's arrays and JAX arrays on the file's device."""

    def settings(self, case):
        return jax.enable_x64(case.x.dtype == np.float64)

    def placed(self, array, layout):
        """Copy to a JAX array, which is contiguous; without a copy, JAX may use NumPy's memory."""
        return None if array is None else jax.device_put(np.array(array), jax_device_of(self.file))

    def written(self, array, new):
        """Return a new array, since JAX's arrays are read-only."""
        return None if array is None else self.placed(new, "contiguous")

    def copied(self, found, name):
        """Convert an array that a function returned as `name` to NumPy; None stays None."""
        if found is not None and not isinstance(found, jax.Array):
            raise wrong_kind(found, "jax.Array", name)
        return None if found is None else np.array(found)

    def shared(self, outputs, inputs):
        """Return no pairs: read-only arrays may share memory."""
        return []

    def overrun(self, array):
        """Return False: nothing can read the memory around a JAX array."""
        return False
