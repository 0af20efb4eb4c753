"""The judge: the only place that compares an implementation's results with the oracle's values."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isnan

import numpy as np

from bnconform.judging.caller import FLOATING, Caller
from bnconform.judging.comparison import Comparison, compare, ulp
from bnconform.judging.due import GRADIENTS, STATISTICS
from bnconform.judging.evidence import Evidence
from bnconform.judging.expression import Expression, Rearranged, one_lacks, shown
from bnconform.judging.findings import Finding, signature
from bnconform.judging.oracle import Expected, Quantity, expect, expect_at
from bnconform_adapters.contract import AnyArray, Case, Outcome, dtype_name
from bnconform_reference.double_double import Array, high
from bnconform_reference.precision import GRADES

__all__ = ["FLOATING", "GRADIENTS", "STATISTICS", "Judge"]
"""Names that a law needs."""

BITS_ALONE = "; only the last bits differ, within the allowed error: if that is by design, claim bitwise = False"
"""Remark for a relation between two calls that holds within the allowed error, but not bit for bit."""


class Judge(Caller):
    """Calls the implementation for a law, compares the results, and raises Broken if they are wrong."""

    MANY = 64
    """Number of elements from which their mean is meaningful."""

    def expect(self, case: Case) -> Expected:
        """Return the oracle's values, with the errors allowed at the claimed grade."""
        return expect(case, self.claims)

    def agrees(
        self, case: Case, outcome: Outcome, quantities: Iterable[str], *, batches: int | None = None
    ) -> Expected:
        """Break the law unless each named output is within its allowed error of the oracle's.

        Gradients of absent parameters are skipped; for `batches`, see :func:`~bnconform.judging.oracle.expect`.
        """
        expected = expect(case, self.claims, batches)
        for name in quantities:
            if name in expected:
                self.close(name, getattr(outcome, name), expected[name])
        return expected

    def close(
        self,
        name: str,
        actual: AnyArray | None,
        quantity: Quantity,
        *,
        got: Expression | None = None,
        expected_of: Expression | None = None,
        reproducible: bool = True,
    ) -> None:
        """Break the law unless one output is within its allowed error.

        `got` and `expected_of` are the expressions of the two values, if they are computed from outputs. `reproducible`
        is false if a script of the calls cannot show the defect.
        """
        comparison = self._compare(name, actual, quantity)
        assert actual is not None
        if not comparison.ratio.size:
            return
        index = comparison.worst
        ratio, dtype = float(comparison.ratio[index]), dtype_name(actual)
        expected = float(high(quantity.value)[index])
        error = float(comparison.error[index])
        error = inf if isnan(error) else error
        ulps = error / ulp(expected, dtype) if ratio else 0.0
        self.tally.note_ratio(ratio, ulps, self._steps)
        if not ratio <= 1.0:
            finding = Finding(
                self.requirement,
                self.adapter.name,
                name,
                "is off",
                index,
                float(actual[index]),
                expected,
                float(quantity.allowed[index]),
                ratio,
                ulps,
            )
            got = got or shown(actual)
            value, allowed = quantity.value, quantity.allowed
            if isinstance(got, Rearranged) or isinstance(expected_of, Rearranged):
                got, expected_of = got.at(index), expected_of and expected_of.at(index)
                value, allowed = high(value)[index], allowed[index]
            if not reproducible:
                self._report(finding, Evidence((), self.claims))
            self._report(finding, Evidence((), self.claims, got, expected_of, value, allowed))

    def _compare(self, name: str, actual: AnyArray | None, quantity: Quantity) -> Comparison:
        value = high(quantity.value)
        if actual is None:
            self.missing(name)
        self._has_shape(name, actual, value.shape)
        comparison = compare(actual, quantity)
        self.tally.elements += value.size
        self.tally.unbounded += comparison.unbounded
        self.tally.overflowing += comparison.overflowing
        if value.size and 2 * comparison.unbounded > value.size:
            self.mistrust()
        return comparison

    def near(
        self,
        name: str,
        first: AnyArray | None,
        second: AnyArray | None,
        allowed: Array,
        *,
        got: Expression | None = None,
        expected_of: Expression | None = None,
    ) -> None:
        """Break the law unless two outputs that should be equal are within `allowed` of each other.

        Where `allowed` is infinite, one of the two may also be NaN.
        """
        if second is None:
            self.missing(name)
        self.close(name, first, _around(second, allowed), got=got, expected_of=expected_of or shown(second))

    def same_bits(
        self,
        name: str,
        first: AnyArray | None,
        second: AnyArray | None,
        when: str,
        *,
        signed_zeros: bool = True,
        got: Expression | None = None,
        expected_of: Expression | None = None,
        remark: str = "",
    ) -> None:
        """Break the law unless two arrays are equal bit for bit; any two NaN are equal.

        `remark` ends the text of the finding.
        """
        if first is None or second is None:
            if first is not second:
                condition = one_lacks(self._logs[-2], self._logs[-1], name) if len(self._logs) > 1 else None
                self.broken(name, f"is present in one of two calls {when}", condition)
            return
        got, expected_of = got or shown(first), expected_of or shown(second)
        if signature(first) != signature(second):
            other = got.dtype.unequal(expected_of.dtype)
            if first.dtype == second.dtype:
                other = got.shape.unequal(expected_of.shape)
            self.broken(name, f"is {signature(first)} and {signature(second)} {when}", other)
        same_sign = (np.signbit(first) == np.signbit(second)) | ((first == 0) & (not signed_zeros))
        equal = (first == second) & same_sign | (np.isnan(first) & np.isnan(second))
        if not equal.all():
            index = tuple(int(i) for i in np.argwhere(~equal)[0])
            if isinstance(got, Rearranged) or isinstance(expected_of, Rearranged):
                got, expected_of = got.at(index), expected_of.at(index)
            problem = f"is {first[index]!s} and {second[index]!s} at {list(index)} {when}{remark}"
            finding = Finding(self.requirement, self.adapter.name, name, problem)
            self._report(finding, Evidence((), self.claims, got, expected_of, signed_zeros=signed_zeros))

    def left_alone(self, case: Case, outcome: Outcome, what: str = "call") -> None:
        """Break the law unless the inputs have the case's bits after the call; `what` names the call."""
        for name, array in outcome.inputs_after.items():
            self.same_bits(name, array, getattr(case, name), f"after the {what} and before it")

    def related(
        self,
        name: str,
        first: AnyArray | None,
        second: AnyArray | None,
        allowed: Array,
        when: str,
        *,
        bitwise: bool,
        got: Expression | None = None,
        expected_of: Expression | None = None,
    ) -> None:
        """Break the law unless two outputs are equal, bit for bit or within `allowed`."""
        if first is None and second is None:
            return
        if bitwise:
            within = first is not None and second is not None and _within(first, second, allowed)
            remark = BITS_ALONE if within else ""
            self.same_bits(
                name, first, second, when, signed_zeros=False, got=got, expected_of=expected_of, remark=remark
            )
        self.near(name, first, second, allowed, got=got, expected_of=expected_of)

    def grade(self, case: Case, outcome: Outcome, quantities: Iterable[str]) -> None:
        """Record the outputs' worst ratio at every accumulation grade; breaks no law."""
        names = tuple(quantities)
        for grade, expected in expect_at(GRADES, case, self.claims).items():
            for name in names:
                actual = getattr(outcome, name)
                if name in expected and actual is not None and actual.size:
                    self.tally.note_grade(grade, float(compare(actual, expected[name]).ratio.max()))


def _around(second: AnyArray, allowed: Array) -> Quantity:
    """Return the expected value of an output that should equal `second`; 0 where any output is allowed."""
    value = second.astype(np.float64)
    return Quantity(np.where(np.isinf(allowed) & ~np.isfinite(value), 0.0, value), allowed)


def _within(first: AnyArray, second: AnyArray, allowed: Array) -> bool:
    """Return True if two outputs have one dtype and shape and differ by at most the allowed error."""
    return signature(first) == signature(second) and bool((compare(first, _around(second, allowed)).ratio <= 1).all())
