"""Expressions over the results of calls: they record what the judge compared, so that a script can compute it again.

A law writes ``shown(outcome.dx).wide.sum(axes)``. The script then contains
``results_1[0]["dx"].astype(np.float64).sum(axes)``. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from bnconform_adapters.contract import AnyArray, Outcome


class Binds(IntEnum):
    """Precedence of the outermost operator of a text, as in Python."""

    TEST = 0
    SUM = 1
    PRODUCT = 2
    ATOM = 3


@dataclass(frozen=True, eq=False)
class Thing:
    """An array, an Outcome, a Case or a log of calls; an array that is not found among the calls is a constant."""

    value: object


Part: TypeAlias = str | Thing


class Expression:
    """Python text with objects (:class:`Thing`) in between.

    Parameters
    ----------
    *parts : str or Thing
    binds : Binds
        Precedence of the text's outermost operator.
    """

    def __init__(self, *parts: Part, binds: Binds = Binds.ATOM) -> None:
        self._parts = parts
        self._binds = binds

    @property
    def given(self) -> tuple[object, ...]:
        """Objects in the text, in order."""
        return tuple(part.value for part in self._parts if isinstance(part, Thing))

    @property
    def text(self) -> str:
        """Text with ``{}`` for each object."""
        return self.render(lambda thing: "{}")

    def render(self, name: Callable[[object], str]) -> str:
        """Return the text with a name for each object."""
        return "".join(part if isinstance(part, str) else name(part.value) for part in self._parts)

    def at(self, index: tuple[int, ...]) -> Expression:
        """Return the expression of one element."""
        return self._then(f"[{', '.join(map(str, index))}]")

    @property
    def wide(self) -> Expression:
        """Expression of the array in float64."""
        return self._then(".astype(np.float64)")

    @property
    def dtype(self) -> Expression:
        """Expression of the dtype."""
        return self._then(".dtype")

    @property
    def dtype_name(self) -> Expression:
        """Expression of the dtype's name."""
        return self._then(".dtype.name")

    @property
    def shape(self) -> Expression:
        """Expression of the shape."""
        return self._then(".shape")

    def as_type_of(self, array: AnyArray) -> Expression:
        """Return the expression of the array in another array's dtype."""
        return self._then(".astype(", Thing(array), ".dtype)")

    def sum(self, axes: tuple[int, ...] | None = None) -> Expression:
        """Return the expression of the sum over some axes; over all for None."""
        return self._then(".sum()" if axes is None else f".sum({axes})")

    def any(self) -> Expression:
        """Return the condition that any element is true."""
        return self._then(".any()")

    def all(self) -> Expression:
        """Return the condition that all elements are true."""
        return self._then(".all()")

    def finite(self) -> Expression:
        """Return the mask of finite elements."""
        return self._called("np.isfinite")

    def sign(self) -> Expression:
        """Return the expression of the elements' signs."""
        return self._called("np.sign")

    def mean(self) -> Expression:
        """Return the expression of the mean over all elements, as an array of one element."""
        return Expression("np.mean(", *self._parts, ", keepdims=True).ravel()")

    def fails(self) -> Expression:
        """Return the condition that this expression is false."""
        return Expression("not ", *self._inside(Binds.SUM), binds=Binds.TEST)

    def unequal(self, other: object) -> Expression:
        """Return the condition, or the mask, of being unequal to another expression or a constant."""
        return self._joined("!=", other, Binds.TEST)

    def is_not_none(self) -> Expression:
        """Return the condition that the value is not None."""
        return Expression(*self._inside(Binds.SUM), " is not None", binds=Binds.TEST)

    def not_in(self, names: tuple[str, ...]) -> Expression:
        """Return the condition that the value is none of these names."""
        return Expression(*self._inside(Binds.SUM), f" not in {names}", binds=Binds.TEST)

    def __getitem__(self, which: AnyArray | str) -> Expression:
        return self._then(f"[{which!r}]") if isinstance(which, str) else self._then("[", Thing(which), "]")

    def __lt__(self, other: object) -> Expression:
        return self._joined("<", other, Binds.TEST)

    def __add__(self, other: object) -> Expression:
        return self._joined("+", other, Binds.SUM)

    def __sub__(self, other: object) -> Expression:
        return self._joined("-", other, Binds.SUM)

    def __mul__(self, other: object) -> Expression:
        return self._joined("*", other, Binds.PRODUCT)

    def __rmul__(self, other: float) -> Expression:
        return Expression(f"{other:g}", binds=Binds.ATOM)._joined("*", self, Binds.PRODUCT)

    def __truediv__(self, other: object) -> Expression:
        return self._joined("/", other, Binds.PRODUCT)

    def _then(self, *parts: Part) -> Expression:
        return Expression(*self._inside(Binds.ATOM), *parts)

    def _called(self, function: str) -> Expression:
        return Expression(f"{function}(", *self._parts, ")")

    def _inside(self, binds: Binds) -> tuple[Part, ...]:
        """Return the parts, in brackets if their precedence is below `binds`."""
        return self._parts if self._binds >= binds else ("(", *self._parts, ")")

    def _joined(self, operator: str, other: object, binds: Binds) -> Expression:
        right = shown(other) if isinstance(other, Expression | np.ndarray) else Expression(repr(other))
        tighter = binds if operator in "+*" else Binds(min(binds + 1, Binds.ATOM))
        return Expression(*self._inside(binds), f" {operator} ", *right._inside(tighter), binds=binds)


class Rearranged(Expression):
    """An array with elements moved and multiplied: a script can only show one element of the result.

    Parameters
    ----------
    array : array
        Array of an Outcome or a Case.
    rearrange : callable
        Function that moves elements and multiplies them by constants.
    """

    def __init__(self, array: AnyArray | None, rearrange: Callable[[AnyArray], AnyArray]) -> None:
        super().__init__(Thing(array))
        self._array, self._rearrange = array, rearrange

    def at(self, index: tuple[int, ...]) -> Expression:
        """Return the expression of one element; rearranging the numbers of all elements finds its original place."""
        assert self._array is not None
        factor = float(self._rearrange(np.ones(self._array.shape))[index])
        numbers = np.arange(1.0, self._array.size + 1).reshape(self._array.shape)
        number = round(float(self._rearrange(numbers)[index]) / factor) - 1
        element = super().at(tuple(int(i) for i in np.unravel_index(number, self._array.shape)))
        return element if factor == 1 else element * Expression(f"{factor:g}")


def shown(thing: object) -> Expression:
    """Return an array, an Outcome or a Case as an expression."""
    return thing if isinstance(thing, Expression) else Expression(Thing(thing))


def concatenated(arrays: Sequence[AnyArray]) -> Expression:
    """Return the expression of arrays joined along their first axis."""
    listed = [part for array in arrays for part in (", ", Thing(array))][1:]
    return Expression("np.concatenate([", *listed, "])")


def added(terms: Sequence[Expression]) -> Expression:
    """Return the sum of some expressions; 0 without terms."""
    total = terms[0] if terms else Expression("0.0")
    for term in terms[1:]:
        total = total + term
    return total


def both(first: Expression, second: Expression) -> Expression:
    """Return the expression of a pair."""
    return Expression("(", *first._parts, ", ", *second._parts, ")")


def xhat(case: object) -> Expression:
    """Return the expression of a case's x normalized by its own statistics, in float64; scripts define ``xhat``."""
    return Expression("xhat(", Thing(case), ")")


def raised(outcome: Outcome) -> Expression:
    """Return the condition that a call raised."""
    return Expression("'error' in ", Thing(outcome), binds=Binds.TEST)


def returned(outcome: Outcome) -> Expression:
    """Return the condition that a call did not raise."""
    return Expression("'error' not in ", Thing(outcome), binds=Binds.TEST)


def raised_type(outcome: Outcome, name: str) -> Expression:
    """Return the condition that a call raised an exception of this name."""
    thing = Thing(outcome)
    return Expression("'error' in ", thing, " and str(", thing, f"['error']).startswith({name!r})", binds=Binds.TEST)


def lacks(outcome: Outcome, name: str) -> Expression:
    """Return the condition that a call did not give an output."""
    return Expression(Thing(outcome), f".get({name!r}) is None", binds=Binds.TEST)


def any_lacks(log: object, name: str) -> Expression:
    """Return the condition that one of a log's calls did not give an output."""
    return Expression(f"any(one.get({name!r}) is None for one in ", Thing(log), ")")


def one_lacks(first: object, second: object, name: str) -> Expression:
    """Return the condition that some calls of two logs gave an output and others did not."""
    head = f"len(set([one.get({name!r}) is None for one in "
    return Expression(head, Thing(first), " + ", Thing(second), "])) == 2", binds=Binds.TEST)


def listed(outcome: Outcome, where: str, entry: str) -> Expression:
    """Return the condition that a call's results list an entry, such as a pair of arrays under "shares"."""
    return Expression(f"{entry!r} in ", Thing(outcome), f"[{where!r}]", binds=Binds.TEST)
