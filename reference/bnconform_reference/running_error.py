"""Running error analysis: every quantity of a formula carries its size and its error.

A formula is written once as sums of products, and evaluated on pairs (size, error) with ``size >= |exact|`` and
``error >= |computed - exact|``. The size of a sum is the sum of sizes, even if its parts cancel. So the result holds
for any arrangement of the same parts: factored, multiplied out, or differentiated from a formula for the parts.
Higham, Accuracy and Stability of Numerical Algorithms (2nd ed.), section 3.3.
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
        """Largest possible size of a computed value."""
        return self.size + self.error


def known(values: Array | float) -> Inexact:
    """Return values that have no error."""
    size = np.abs(np.asarray(values, np.float64))
    return Inexact(size, np.zeros_like(size))


@dataclass(frozen=True)
class Rounding:
    """The errors of an arithmetic.

    Attributes
    ----------
    unit : float
        Relative error of one operation.
    mean_loss : float
        Relative error of a mean over a channel, against the mean of the summands' absolute values.
    underflow : float
        Largest absolute error of one operation near zero.
    """

    unit: float
    mean_loss: float
    underflow: float

    def product(self, *factors: Inexact) -> Inexact:
        """Multiply k factors in any order, with at most 2k roundings.

        The roundings are k - 1 multiplications, and as many powers of a factor or divisions by n. Factors above 1 may
        still enlarge the error of a partial product that underflows.
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
        """Add a few terms in any order: each term passes at most as many additions as there are terms."""
        size, error = _added([t.size for t in terms]), _added([t.error for t in terms])
        return Inexact(size, error + len(terms) * (self.unit * (size + error) + self.underflow))

    def mean(self, values: Inexact) -> Inexact:
        """Average over the last axis, which stays with length 1; the size is the summands' mean size."""
        size, error = (np.mean(part, axis=-1, keepdims=True) for part in (values.size, values.error))
        return Inexact(size, error + self.mean_loss * (size + error) + 2 * self.underflow)


def _added(parts: list[Array]) -> Array:
    return reduce(np.add, parts)
