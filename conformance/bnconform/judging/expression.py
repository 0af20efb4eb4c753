"""Expressions over the results of calls: what the judge compared, so that a script can compute it again.

A law writes ``shown(outcome.dx).wide.sum(axes)``, and a script has ``results_1[0]["dx"].astype(np.float64).sum(axes)``.
Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from bnconform_adapters.contract import AnyArray, Outcome


class Binds(IntEnum):
    """How strongly the outermost operator of a text binds, as in Python."""

    TEST = 0
    SUM = 1
    PRODUCT = 2
    ATOM = 3


@dataclass(frozen=True, eq=False)
class Thing:
    """An array, an Outcome, a Case or a log of calls: it is found by identity among the calls, else a constant."""

    value: object


Part: TypeAlias = str | Thing


class Expression:
    """Python text with things in between.

    Parameters
    ----------
    *parts : str or Thing
    binds : Binds
        How strongly the text holds together.
    """

    def __init__(self, *parts: Part, binds: Binds = Binds.ATOM) -> None:
        self._parts = parts
        self._binds = binds

    @property
    def given(self) -> tuple[object, ...]:
        """The things, in their order."""
        return tuple(part.value for part in self._parts if isinstance(part, Thing))

    @property
    def text(self) -> str:
        """The text with ``{}`` for each thing."""
        return self.render(lambda thing: "{}")

    def render(self, name: Callable[[object], str]) -> str:
        """The text with a name for each thing."""
        return "".join(part if isinstance(part, str) else name(part.value) for part in self._parts)

    def at(self, index: tuple[int, ...]) -> Expression:
        """One element."""
        return self._then(f"[{', '.join(map(str, index))}]")

    @property
    def wide(self) -> Expression:
        """In float64."""
        return self._then(".astype(np.float64)")

    @property
    def dtype(self) -> Expression:
        """The dtype."""
        return self._then(".dtype")

    @property
    def dtype_name(self) -> Expression:
        """The dtype's name."""
        return self._then(".dtype.name")

    @property
    def shape(self) -> Expression:
        """The shape."""
        return self._then(".shape")

    def as_type_of(self, array: AnyArray) -> Expression:
        """In another array's dtype."""
        return self._then(".astype(", Thing(array), ".dtype)")

    def sum(self, axes: tuple[int, ...] | None = None) -> Expression:
        """The sum over some axes; over all for None."""
        return self._then(".sum()" if axes is None else f".sum({axes})")

    def any(self) -> Expression:
        """Whether it is true of any element."""
        return self._then(".any()")

    def all(self) -> Expression:
        """Whether it is true of all elements."""
        return self._then(".all()")

    def finite(self) -> Expression:
        """Which elements are finite."""
        return self._called("np.isfinite")

    def sign(self) -> Expression:
        """The sign of each element."""
        return self._called("np.sign")

    def mean(self) -> Expression:
        """The mean over all elements, as an array of one."""
        return Expression("np.mean(", *self._parts, ", keepdims=True).ravel()")

    def fails(self) -> Expression:
        """That it is not true."""
        return Expression("not ", *self._inside(Binds.SUM), binds=Binds.TEST)

    def unequal(self, other: object) -> Expression:
        """That, or where, it is not equal to another expression or a constant."""
        return self._joined("!=", other, Binds.TEST)

    def is_not_none(self) -> Expression:
        """That it is there."""
        return Expression(*self._inside(Binds.SUM), " is not None", binds=Binds.TEST)

    def not_in(self, names: tuple[str, ...]) -> Expression:
        """That it is none of these names."""
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
        """The parts, in brackets where an operator that binds so strongly would tear them apart."""
        return self._parts if self._binds >= binds else ("(", *self._parts, ")")

    def _joined(self, operator: str, other: object, binds: Binds) -> Expression:
        right = shown(other) if isinstance(other, Expression | np.ndarray) else Expression(repr(other))
        tighter = binds if operator in "+*" else Binds(min(binds + 1, Binds.ATOM))
        return Expression(*self._inside(binds), f" {operator} ", *right._inside(tighter), binds=binds)


class Rearranged(Expression):
    """An array with its elements in another place, and multiplied: a script can only show one element of it.

    Parameters
    ----------
    array : array
        As an Outcome or a Case has it.
    rearrange : callable
        Moves elements, and multiplies them by constants.
    """

    def __init__(self, array: AnyArray | None, rearrange: Callable[[AnyArray], AnyArray]) -> None:
        super().__init__(Thing(array))
        self._array, self._rearrange = array, rearrange

    def at(self, index: tuple[int, ...]) -> Expression:
        """See :class:`Expression`: the element's own place is found by rearranging the numbers of all places."""
        assert self._array is not None
        factor = float(self._rearrange(np.ones(self._array.shape))[index])
        numbers = np.arange(1.0, self._array.size + 1).reshape(self._array.shape)
        number = round(float(self._rearrange(numbers)[index]) / factor) - 1
        element = super().at(tuple(int(i) for i in np.unravel_index(number, self._array.shape)))
        return element if factor == 1 else element * Constant(f"{factor:g}")


class Constant(Expression):
    """A number, as text."""


def shown(thing: object) -> Expression:
    """An array, an Outcome or a Case as an expression."""
    return thing if isinstance(thing, Expression) else Expression(Thing(thing))


def concatenated(arrays: Sequence[AnyArray]) -> Expression:
    """Arrays along their first axis."""
    listed = [part for array in arrays for part in (", ", Thing(array))][1:]
    return Expression("np.concatenate([", *listed, "])")


def added(terms: Sequence[Expression]) -> Expression:
    """The sum of some expressions; 0 of none."""
    total = terms[0] if terms else Expression("0.0")
    for term in terms[1:]:
        total = total + term
    return total


def both(first: Expression, second: Expression) -> Expression:
    """A pair."""
    return Expression("(", *first._parts, ", ", *second._parts, ")")


def xhat(case: object) -> Expression:
    """x of a case, normalized by its own statistics, in float64; the scripts' plain definition has it."""
    return Expression("xhat(", Thing(case), ")")


def raised(outcome: Outcome) -> Expression:
    """That a call raised."""
    return Expression("'error' in ", Thing(outcome), binds=Binds.TEST)


def returned(outcome: Outcome) -> Expression:
    """That a call did not raise."""
    return Expression("'error' not in ", Thing(outcome), binds=Binds.TEST)


def raised_type(outcome: Outcome, name: str) -> Expression:
    """That a call raised an exception of this name."""
    thing = Thing(outcome)
    return Expression("'error' in ", thing, " and str(", thing, f"['error']).startswith({name!r})", binds=Binds.TEST)


def lacks(outcome: Outcome, name: str) -> Expression:
    """That a call did not give an output."""
    return Expression(Thing(outcome), f".get({name!r}) is None", binds=Binds.TEST)


def any_lacks(log: object, name: str) -> Expression:
    """That one of a log's calls did not give an output."""
    return Expression(f"any(one.get({name!r}) is None for one in ", Thing(log), ")")


def one_lacks(first: object, second: object, name: str) -> Expression:
    """That some calls of two logs gave an output and others did not."""
    head = f"len(set([one.get({name!r}) is None for one in "
    return Expression(head, Thing(first), " + ", Thing(second), "])) == 2", binds=Binds.TEST)


def listed(outcome: Outcome, where: str, entry: str) -> Expression:
    """That a call's results list an entry, as a pair of arrays that share memory under "shares"."""
    return Expression(f"{entry!r} in ", Thing(outcome), f"[{where!r}]", binds=Binds.TEST)
