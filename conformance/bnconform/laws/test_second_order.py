"""G10 and G11: gradients of gradients, and forward mode."""

from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import FORWARD_MODE, SECOND_ORDER, Space
from bnconform.cases.strategies import AnyOf, Cases
from bnconform.judging.expected_derivatives import expect_second_order, expect_tangent
from bnconform.judging.expression import Expression, added, shown
from bnconform.judging.findings import signature
from bnconform.judging.judge import GRADIENTS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import AnyArray, Case
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.double_double import Array, DoubleDouble, exactly, total


def _both_modes(space: Space) -> AnyOf:
    return AnyOf((Cases(space), Cases(replace(space, mode="inference"))))


@requirement("G10", given=_both_modes(SECOND_ORDER))
def test_gradients_have_gradients(judge: Judge, case: Case) -> None:
    """sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) has the right gradients by dy, x and weight."""
    outcome = judge.second_order(case)
    for name, quantity in expect_second_order(case, judge.claims).items():
        judge.close(name, getattr(outcome, name), quantity)


@requirement("G11", given=_both_modes(FORWARD_MODE))
def test_forward_mode_is_the_transpose_of_reverse_mode(judge: Judge, case: Case) -> None:
    """The tangent of y is J v within the allowed error, and <dy, J v> = <J' dy, v> if there is a backward pass."""
    tangent, expected = judge.jvp(case).y_tangent, expect_tangent(case, judge.claims)
    judge.close("y_tangent", tangent, expected)
    if case.dy is None:
        return
    assert tangent is not None
    outcome, gradients = judge.run(case), judge.expect(case)
    axes, terms = (0, *range(2, case.x.ndim)), list[Expression]()
    forward, allowed = _product(case.dy, tangent, expected.allowed)
    reverse = DoubleDouble(np.zeros(case.channels), np.zeros(case.channels))
    for name, quantity in gradients.items():
        if name in GRADIENTS and (vector := getattr(case, f"d{name}")) is not None:
            computed = getattr(outcome, name)
            if computed is None or computed.shape != vector.shape:
                if computed is None:
                    judge.missing(name)
                judge.broken(name, f"is {signature(computed)}", shown(computed).shape.unequal(vector.shape))
            product = shown(vector).wide * shown(computed).wide
            terms.append(product.sum(axes) if computed.ndim > 1 else product)
            along, off = _product(vector, computed, quantity.allowed)
            reverse, allowed = reverse + along, allowed + off
    # The part of <dy, J v> below float64's precision goes to the other side, so that nothing is rounded.
    judge.close(
        "<dy, J v>",
        forward.hi,
        Quantity(reverse - forward.lo, allowed),
        got=(shown(case.dy).wide * shown(tangent).wide).sum(axes),
        expected_of=added(terms),
    )


def _product(fixed: AnyArray, computed: AnyArray, allowed: Array) -> tuple[DoubleDouble, Array]:
    """Return the inner product over each channel, exact except for double-double's rounding, and its allowed error."""
    factor, value, error = _rows(fixed), _rows(computed), _rows(allowed)
    finite = np.asarray(np.isfinite(value).all(axis=1))  # a channel that may overflow has no inner product
    with np.errstate(invalid="ignore"):
        product = total(exactly(factor) * np.where(finite[:, None], value, 0.0), exact=True)
        off = np.where(finite, np.sum(np.abs(factor) * error, axis=1), np.inf)
    assert isinstance(product, DoubleDouble)
    return DoubleDouble(product.hi[:, 0], product.lo[:, 0]), np.where(np.isnan(off), np.inf, off)


def _rows(array: AnyArray) -> Array:
    return channel_rows(array if array.ndim > 1 else array[None, :])
