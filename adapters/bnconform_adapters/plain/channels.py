"""Convert axes for layers whose channels are last."""

import numpy as np


def channels_last(array):
    """Convert (N, C, *spatial) to (N, *spatial, C)."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def channels_second(array):
    """Convert an array of any framework from (N, *spatial, C) to NumPy's (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(array), -1, 1))


class ChannelAxis:
    """Axis on which a file's code has the channels of x: 1, or -1 if the file states CHANNEL_AXIS = -1."""

    def outward(self, array):
        """Move the channels to the file's axis; None stays None."""
        last = array is not None and self.file.stated("CHANNEL_AXIS", 1) == -1
        return channels_last(array) if last else array

    def inward(self, array):
        """Move the channels of a NumPy array back to axis 1; None stays None."""
        last = array is not None and self.file.stated("CHANNEL_AXIS", 1) == -1
        return channels_second(array) if last else array

    def placed_outward(self, array, layout):
        """Return x or dy as the file's code gets it; None stays None."""
        return self.placed(self.outward(array), layout)
