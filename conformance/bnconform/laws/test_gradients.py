"""G: gradients."""

from dataclasses import replace

import numpy as np

from bnconform.cases.spaces import INFERENCE_GRADIENTS, TRAINING_GRADIENTS, Space
from bnconform.cases.strategies import AnyOf, Cases, Sequences
from bnconform.judging.expression import shown
from bnconform.judging.expression import xhat as xhat_of
from bnconform.judging.judge import GRADIENTS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Quantity
from bnconform_adapters.contract import AnyArray, Case
from bnconform_reference.channel_axes import channel_rows
from bnconform_reference.definition import forward_training
from bnconform_reference.double_double import high

ALL_DY = replace(TRAINING_GRADIENTS, dys=("random", "expanded", "large", "small"))


@requirement("G1", given=Cases(ALL_DY))
def test_dx_flows_through_both_statistics(judge: Judge, case: Case) -> None:
    """dx = weight * invstd * (dy - mean(dy) - xhat * mean(dy * xhat)) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dx"])


@requirement("G2", given=Cases(replace(ALL_DY, parameters=("both", "weight"), needs=("parameter_gradients",))))
def test_dweight_sums_dy_times_xhat(judge: Judge, case: Case) -> None:
    """dweight = sum(dy * xhat) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dweight"])


@requirement("G3", given=Cases(replace(ALL_DY, parameters=("both", "bias"), needs=("parameter_gradients",))))
def test_dbias_sums_dy(judge: Judge, case: Case) -> None:
    """dbias = sum(dy) within the allowed error."""
    judge.agrees(case, judge.run(case), ["dbias"])


@requirement("G4", given=Cases(replace(INFERENCE_GRADIENTS, dys=("random", "expanded", "large", "small"))))
def test_inference_gradients_treat_statistics_as_constants(judge: Judge, case: Case) -> None:
    """In inference dx = weight * invstd * dy; dweight and dbias have their usual formulas."""
    judge.agrees(case, judge.run(case), GRADIENTS)


def _linear(space: Space) -> Cases:
    return Cases(replace(space, parameters=("both", "weight")))


@requirement("G6", given=AnyOf((_linear(TRAINING_GRADIENTS), _linear(INFERENCE_GRADIENTS))))
def test_gradients_are_linear_in_dy(judge: Judge, case: Case) -> None:
    """dy = 0 gives exact zeros; 2 dy gives twice the gradients; weight = 0 stops dx and leaves dweight right."""
    assert case.dy is not None
    assert case.weight is not None
    still = judge.run(replace(case, dy=np.zeros_like(case.dy)))
    for name in GRADIENTS:
        _zeros(judge, name, getattr(still, name), "where dy is 0")
    once, double = judge.run(case), replace(case, dy=case.dy * 2)
    twice = judge.run(double)
    expected, expected_twice = judge.expect(case), judge.agrees(double, twice, GRADIENTS)
    for name in GRADIENTS:
        if name in expected:
            allowed = 2 * expected[name].allowed + expected_twice[name].allowed
            doubled = getattr(once, name).astype(np.float64) * 2
            double_of = 2 * shown(getattr(once, name)).wide
            judge.close(name, getattr(twice, name), Quantity(doubled, allowed), expected_of=double_of)
    dead = replace(case, weight=np.zeros_like(case.weight))
    outcome = judge.run(dead)
    _zeros(judge, "dx", outcome.dx, "where weight is 0")
    judge.agrees(dead, outcome, ["dweight", "dbias"])


def _zeros(judge: Judge, name: str, array: AnyArray | None, where: str) -> None:
    if array is not None and (array != 0).any():
        index = tuple(int(i) for i in np.argwhere(array != 0)[0])
        judge.broken(name, f"is {array[index]!s} at {list(index)} {where}; it must be 0", shown(array).unequal(0).any())


@requirement("G5", given=Cases(TRAINING_GRADIENTS))
def test_dx_is_orthogonal_to_constants_and_nearly_to_xhat(judge: Judge, case: Case) -> None:
    """Per channel sum(dx) = 0 and sum(dx * xhat) = weight * invstd * dweight * eps / (var + eps)."""
    outcome = judge.run(case)
    expected = judge.agrees(case, outcome, ["dx"])
    assert outcome.dx is not None
    x, dx = channel_rows(case.x), channel_rows(outcome.dx)
    finite = np.isfinite(dx).all(axis=1, keepdims=True)  # a dx that may overflow has no sums
    dx, allowed = np.where(finite, dx, 0.0), np.where(finite, channel_rows(expected["dx"].allowed), np.inf)
    forward = forward_training(x, np.ones((case.channels, 1)), np.zeros((case.channels, 1)), case.eps)
    xhat, exact = np.asarray(forward.xhat), channel_rows(high(expected["dx"].value))
    # The oracle's dx has these sums by construction, except for its own rounding.
    axes = (0, *range(2, case.x.ndim))
    wide = shown(outcome.dx).wide
    judge.close("dx", dx.sum(axis=1), Quantity(exact.sum(axis=1), allowed.sum(axis=1)), got=wide.sum(axes))
    with np.errstate(invalid="ignore"):  # an infinite bound times xhat = 0 bounds nothing
        along = Quantity((exact * xhat).sum(axis=1), (allowed * np.abs(xhat)).sum(axis=1))
    judge.close("dx", (dx * xhat).sum(axis=1), along, got=(wide * xhat_of(case)).sum(axes))


@requirement(
    "G7",
    given=Cases(
        replace(ALL_DY, layouts=("channels_last", "transposed", "sliced", "reversed"), dys=("random", "expanded"))
    ),
)
def test_dy_of_any_layout_gives_the_same_gradients(judge: Judge, case: Case) -> None:
    """An expanded, transposed, channels-last or sliced dy gives the same gradients as a contiguous one."""
    outcome, expected = judge.run(case), judge.expect(case)
    layout = judge.claims.plain_layout(case.x.ndim)
    plain = judge.run(replace(case, layout=layout, dy_layout=layout))
    for name in GRADIENTS:
        if name in expected:
            judge.close(name, getattr(outcome, name), expected[name])
            judge.near(name, getattr(outcome, name), getattr(plain, name), 2 * expected[name].allowed)


@requirement("G8", given=Cases(replace(ALL_DY, parameters=("both",))), share=0.5)
def test_gradients_asked_for_alone_or_again_are_the_same(judge: Judge, case: Case) -> None:
    """A second backward pass has the bits of the first; gradients computed alone agree within the allowed error."""
    (finish,) = judge.forward_passes((case,))
    first, second = judge.finished(finish), judge.finished(finish)
    for name in GRADIENTS:
        judge.same_bits(name, getattr(second, name), getattr(first, name), "in the second backward pass and the first")
    if not judge.claims.gradient_subsets:
        return
    for wanted in ("dx", "dweight", "dbias", "dweight dbias", "dx dbias"):
        alone = judge.run(replace(case, wanted=wanted))
        expected = judge.expect(case)
        for name in wanted.split():
            judge.near(name, getattr(alone, name), getattr(first, name), 2 * expected[name].allowed)


@requirement(
    "G9",
    given=Sequences(replace(TRAINING_GRADIENTS, needs=("interleaved",)), kinds=("training",), longest=4),
    share=0.5,
)
def test_interleaved_backward_passes_do_not_mix(judge: Judge, *steps: Case) -> None:
    """After several forward passes, backward passes in either order give each pass its own gradients."""
    apart = judge.run_steps(steps)
    first_in_first_out = tuple(range(len(steps)))
    for order in (first_in_first_out, first_in_first_out[::-1]):
        passes = judge.forward_passes(steps)
        together = {i: judge.finished(passes[i]) for i in order}
        for i, alone in enumerate(apart):
            for name in ("y", *GRADIENTS):
                mixed = getattr(together[i], name)
                judge.same_bits(name, mixed, getattr(alone, name), "with other forward passes in between and without")
