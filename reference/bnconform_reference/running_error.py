"""Error analysis that runs along with a formula: every quantity carries its size and its error.

A formula is written once as sums of products, and evaluated on pairs (size, error) with ``size >= |exact|`` and
``error >= |computed - exact|``. The size of a sum is the sum of sizes, also where its parts cancel, so that the
result holds for any arrangement of the same parts: factored, multiplied out, or differentiated from a formula for
the parts. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np

from bnconform_reference.double_double import Array


@dataclass(frozen=True)
class Inexact:
    """Sizes of exact values and bounds on the errors of computed ones; shapes broadcast."""

    size: Array
    error: Array

    @property
    def largest(self) -> Array:
        """The largest that a computed value can be."""
        return self.size + self.error


def known(values: Array | float) -> Inexact:
    """Values without error."""
    size = np.abs(np.asarray(values, np.float64))
    return Inexact(size, np.zeros_like(size))


@dataclass(frozen=True)
class Rounding:
    """What one arithmetic loses.

    Attributes
    ----------
    unit : float
        Relative error of one operation.
    mean_loss : float
        Relative error of a mean over a channel, against the mean of the summands' absolute values.
    underflow : float
        What one operation can lose near zero.
    """

    unit: float
    mean_loss: float
    underflow: float

    def product(self, *factors: Inexact) -> Inexact:
        """The product of k factors in any order: at most 2k roundings.

        They are k - 1 multiplications, and as many powers of a factor or divisions by n on the way. A partial product
        that underflows is yet to be multiplied by factors above 1.
        """
        sizes, largest = [f.size for f in factors], [f.largest for f in factors]
        # Telescoped: prod(size + error) - prod(size) without the cancellation.
        propagated = sum(
            (prod(largest[:i]) * f.error * prod(sizes[i + 1 :]) for i, f in enumerate(factors)), np.float64(0)
        )
        roundings = 2 * len(factors)
        lost = self.unit * roundings / (1 - self.unit * roundings) * prod(largest)
        vanished = roundings * self.underflow * prod(np.maximum(one, 1.0) for one in largest)
        return Inexact(np.asarray(prod(sizes)), np.asarray(propagated + lost + vanished))

    def sum(self, *terms: Inexact) -> Inexact:
        """The sum of a few terms in any order: each passes at most as many additions."""
        size, error = _added([t.size for t in terms]), _added([t.error for t in terms])
        return Inexact(size, error + len(terms) * (self.unit * (size + error) + self.underflow))

    def mean(self, values: Inexact) -> Inexact:
        """The mean over the last axis, kept with length 1; its size is that of the summands."""
        size, error = (np.mean(part, axis=-1, keepdims=True) for part in (values.size, values.error))
        return Inexact(size, error + self.mean_loss * (size + error) + 2 * self.underflow)


def _added(parts: list[Array]) -> Array:
    return reduce(np.add, parts)
