"""M: relations between runs."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bnconform.cases.shapes import with_values
from bnconform.cases.spaces import INFERENCE, TRAINING
from bnconform.cases.strategies import AnyOf, Cases
from bnconform.judging.expression import Rearranged
from bnconform.judging.judge import GRADIENTS, STATISTICS, Judge
from bnconform.judging.law import requirement
from bnconform.judging.oracle import Expected
from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_reference.double_double import Array

# Values have few bits, so that shifts and scalings of x are exact.
ROUND = replace(
    TRAINING,
    gradients="where claimed",
    ratios=(1.0, 0.0),
    values=("normal", "two_valued"),
    spreads=("unit",),
    eps=(1e-5, 1e-3, 0.1),
    precise=(False,),
)
ANY = replace(TRAINING, gradients="where claimed", ratios=(1.0, 0.0, 10.0))
MANY_CHANNELS = replace(ANY, kinds=("wide", "small", "wide"))
ALL = ("y", *STATISTICS, *GRADIENTS)
PER_CHANNEL = (*STATISTICS, "dweight", "dbias")


def _compare(
    judge: Judge,
    first: tuple[Outcome, Expected],
    second: tuple[Outcome, Expected],
    when: str,
    *,
    back: Callable[[str, Array], Array] = lambda name, array: array,
    part: Callable[[str, Array], Array] = lambda name, array: array,
    names: tuple[str, ...] = ALL,
    bitwise: bool = False,
) -> None:
    """Compare the second run, rearranged by `back`, with part of the first: by bits, or within both allowed errors."""
    for name in names:
        if name in first[1] and name in second[1]:
            allowed = part(name, first[1][name].allowed) + np.abs(back(name, second[1][name].allowed))
            one, two = (getattr(outcome, name) for outcome, _ in (first, second))
            judge.related(
                name,
                None if two is None else back(name, two),
                None if one is None else part(name, one),
                allowed,
                when,
                bitwise=bitwise,
                got=Rearranged(two, partial(back, name)),
                expected_of=Rearranged(one, partial(part, name)),
            )


def _both(judge: Judge, case: Case) -> tuple[Outcome, Expected]:
    return judge.run(case), judge.expect(case)


@requirement("M1", given=Cases(replace(ROUND, dtypes=("float32", "float64"))))
def test_adding_a_constant_keeps_y_and_gradients(judge: Judge, case: Case) -> None:
    """x + c has the y, the stored variance and the gradients of x."""
    shifted = replace(case, x=(case.x + case.x.dtype.type(8)).astype(case.x.dtype))
    if not np.array_equal(shifted.x.astype(np.float64) - 8, case.x.astype(np.float64)):
        return judge.mistrust()
    names = ("y", "running_var", *GRADIENTS)
    return _compare(judge, _both(judge, case), _both(judge, shifted), "with 8 added to x", names=names)


@requirement("M2", given=Cases(replace(ROUND, needs=("any_eps",))))
def test_scaling_by_a_power_of_two_is_exact(judge: Judge, case: Case) -> None:
    """8 x with 64 eps has the y, dweight and dbias of x and an eighth of its dx, bit for bit."""
    scaled = replace(case, x=case.x * case.x.dtype.type(8), eps=case.eps * 64)
    names = ("y", "dweight", "dbias") if case.dtype == "float16" else ("y", *GRADIENTS)  # dx / 8 may be subnormal

    def back(name: str, array: Array) -> Array:
        return array * array.dtype.type(8) if name == "dx" else array

    when = "for 8 x and 64 eps"
    first, second = _both(judge, case), _both(judge, scaled)
    _compare(judge, first, second, when, back=back, names=names, bitwise=judge.claims.bitwise)


@requirement("M3", given=Cases(ROUND))
def test_negating_x_negates_xhat(judge: Judge, case: Case) -> None:
    """-x without bias has -y, the running mean of the opposite sign, -dweight, and the dx and dbias of x."""
    plain = replace(case, bias=None if case.bias is None else np.zeros_like(case.bias))
    mean = None if case.running_mean is None else -case.running_mean
    negated = replace(plain, x=-case.x, running_mean=mean)

    def back(name: str, array: Array) -> Array:
        return -array if name in ("y", "running_mean", "dweight") else array

    _compare(judge, _both(judge, plain), _both(judge, negated), "for -x", back=back, bitwise=judge.claims.bitwise)


@requirement("M4", given=Cases(ANY))
def test_permuting_samples_permutes_y(judge: Judge, case: Case) -> None:
    """Samples in reverse order give y and dx in reverse order, and the same statistics."""
    dy = None if case.dy is None else case.dy[::-1].copy()
    reversed_ = replace(case, x=case.x[::-1].copy(), dy=dy)

    def back(name: str, array: Array) -> Array:
        return array if name in PER_CHANNEL else array[::-1]

    _compare(judge, _both(judge, case), _both(judge, reversed_), "for samples in reverse order", back=back)


def _permuted(case: Case, order: AnyArray) -> Case:
    def vector(array: AnyArray | None) -> AnyArray | None:
        return None if array is None else array[order]

    return replace(
        case,
        x=case.x[:, order].copy(),
        dy=None if case.dy is None else case.dy[:, order].copy(),
        weight=vector(case.weight),
        bias=vector(case.bias),
        running_mean=vector(case.running_mean),
        running_var=vector(case.running_var),
    )


MANY_CHANNELS_IN_INFERENCE = Cases(
    replace(INFERENCE, gradients="where claimed", ratios=(1.0, 10.0), kinds=("wide", "small"))
)


@requirement("M5", given=AnyOf((Cases(MANY_CHANNELS), MANY_CHANNELS_IN_INFERENCE)), share=1.5)
def test_permuting_channels_permutes_everything(judge: Judge, case: Case) -> None:
    """Channels in reverse order give all outputs in reverse order, also past 64, 128 and 1024 channels."""
    order = np.arange(case.channels)[::-1]

    def back(name: str, array: Array) -> Array:
        return array[::-1] if name in PER_CHANNEL else array[:, ::-1]

    first, second = _both(judge, case), _both(judge, _permuted(case, order))
    _compare(judge, first, second, "for channels in reverse order", back=back, bitwise=judge.claims.bitwise)


@requirement("M6", given=AnyOf((Cases(MANY_CHANNELS), MANY_CHANNELS_IN_INFERENCE)), share=1.5)
def test_channels_are_isolated(judge: Judge, case: Case) -> None:
    """Changing one channel of x and dy changes nothing in the others."""
    channel = case.channels // 2
    x, dy = case.x.copy(), None if case.dy is None else case.dy.copy()
    x[:, channel] = x[:, channel] * x.dtype.type(-2) + x.dtype.type(4)
    if dy is not None:
        dy[:, channel] = dy[:, channel] * dy.dtype.type(-2) + dy.dtype.type(1)
    layout = judge.claims.plain_layout(case.x.ndim) if case.dy_layout == "expanded" else case.dy_layout
    base = replace(case, dy_layout=layout)
    others = np.arange(case.channels) != channel

    def rest(name: str, array: Array) -> Array:
        return array[others] if name in PER_CHANNEL else array[:, others]

    first, second = _both(judge, base), _both(judge, replace(base, x=x, dy=dy))
    when = f"with channel {channel} changed"
    _compare(judge, first, second, when, back=rest, part=rest, bitwise=judge.claims.bitwise)


def _plain(judge: Judge, case: Case) -> Case:
    """Return the case in the claimed layout that is nearest to contiguous."""
    layout = judge.claims.plain_layout(case.x.ndim)
    return replace(case, layout=layout, dy_layout=layout)


@requirement("M7", given=Cases(ANY), share=0.5)
def test_spatial_positions_are_samples(judge: Judge, case: Case) -> None:
    """(N, C, *spatial) gives the same results as (N * spatial, C), or as one sample of a claimed rank."""
    rank = next(rank for rank in (2, 3, 4, 5) if rank in judge.claims.ranks)
    flat = with_values(rank, case.values_per_channel, case.channels)

    def reshaped(array: AnyArray) -> AnyArray:
        return _as_shape(np.moveaxis(array, 1, 0).reshape(case.channels, case.values_per_channel), flat)

    def back(name: str, array: Array) -> Array:
        if name in PER_CHANNEL:
            return array
        rows = np.moveaxis(array, 1, 0).reshape(case.channels, case.x.shape[0], *case.x.shape[2:])
        return np.moveaxis(rows, 0, 1)

    base = _plain(judge, case)
    other = _plain(judge, replace(base, x=reshaped(case.x), dy=None if case.dy is None else reshaped(case.dy)))
    _compare(judge, _both(judge, base), _both(judge, other), f"as {list(flat)}", back=back)


@requirement("M10", given=Cases(ANY), share=0.2)
def test_samples_as_channels_are_normalized_each_by_itself(judge: Judge, case: Case) -> None:
    """With samples laid out as channels (instance normalization), each sample has the same results as alone."""
    samples = 3 if case.values_per_channel % 3 == 0 else 2
    length = case.values_per_channel // samples
    if length < 2:
        return judge.mistrust()
    rank, channels = next((rank for rank in judge.claims.ranks if rank > 2), 2), case.channels
    base = replace(case, layout=judge.claims.plain_layout(rank), dy_layout=judge.claims.plain_layout(rank))

    def sample(array: AnyArray, i: int) -> AnyArray:
        rows = np.moveaxis(array, 1, 0).reshape(channels, -1)
        return _as_shape(rows[:, i * length : (i + 1) * length], with_values(rank, length, channels))

    def beside(array: AnyArray) -> AnyArray:
        return np.concatenate([sample(array, i) for i in range(samples)], axis=1)

    def repeated(vector: AnyArray | None) -> AnyArray | None:
        return None if vector is None else np.tile(vector, samples)

    vectors: dict[str, Any] = {
        name: repeated(getattr(case, name)) for name in ("weight", "bias", "running_mean", "running_var")
    }
    dy = None if case.dy is None else beside(case.dy)
    together = _both(judge, replace(base, x=beside(case.x), dy=dy, **vectors))
    for i in range(samples):
        own = slice(i * channels, (i + 1) * channels)

        def back(name: str, array: Array, own: slice = own) -> Array:
            return array[own] if name in PER_CHANNEL else array[:, own]

        alone = replace(base, x=sample(case.x, i), dy=None if case.dy is None else sample(case.dy, i))
        _compare(judge, _both(judge, alone), together, f"among {samples} samples laid out as channels", back=back)
    return None


def _as_shape(rows: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Return rows (C, n) as x of a shape."""
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape[1], shape[0], *shape[2:]), 0, 1))


@requirement("M8", given=Cases(replace(ANY, gradients=False)), share=0.5)
def test_repeating_the_batch_keeps_y(judge: Judge, case: Case) -> None:
    """The repeated batch has the same y; only Bessel's factor of the stored variance changes."""
    doubled = replace(case, x=np.concatenate([case.x, case.x]))
    first, second = _both(judge, case), _both(judge, doubled)
    judge.agrees(doubled, second[0], ("y", *STATISTICS))

    def back(name: str, array: Array) -> Array:
        return array[: case.x.shape[0]] if name == "y" else array

    _compare(judge, first, second, "for the repeated batch", back=back, names=("y", "running_mean"))


MOVED = replace(ANY, layouts=("channels_last", "transposed", "sliced", "reversed"), beside="contiguous")


@requirement("M9", given=Cases(MOVED))
def test_memory_layout_does_not_matter(judge: Judge, case: Case) -> None:
    """x in any claimed layout, and strided weight and bias, agree with contiguous ones within the allowed errors."""
    plain = replace(case, layout="contiguous", dy_layout="contiguous")
    moved = replace(
        case, dy_layout="contiguous", parameters_layout="sliced" if "sliced" in judge.claims.layouts else "contiguous"
    )
    _compare(judge, _both(judge, plain), _both(judge, moved), f"for x {case.layout} in memory")
