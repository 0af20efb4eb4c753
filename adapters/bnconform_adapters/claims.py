"""Claims: the properties that an implementation states, and that it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from bnconform_adapters.own_input import OwnInput
from bnconform_reference.dialect import PYTORCH, Dialect
from bnconform_reference.precision import UNIT_ROUNDOFF, DtypeName, Grade

Layout: TypeAlias = Literal["contiguous", "channels_last", "transposed", "sliced", "reversed", "expanded", "far"]
Parameters: TypeAlias = Literal["both", "weight", "bias", "neither"]
Mode: TypeAlias = Literal["training", "inference"]
Cost: TypeAlias = Literal["cheap", "compiles per shape", "interpreted"]
ZeroChannels: TypeAlias = Literal["empty", "raises", "either"]
Split: TypeAlias = Literal["equal", "unequal", "empty"]


@dataclass(frozen=True)
class Claims:
    """Properties that an implementation claims; the suite never tests what is not claimed.

    The defaults apply to a candidate file that states nothing.

    Attributes
    ----------
    dialect : Dialect
    dtypes : tuple of str
        dtypes of x. With half types, parameters and statistics are float32.
    ranks : tuple of int
        Ranks of x, from 2 to 5.
    layouts : tuple of str
        Memory layouts of x and dy that it accepts, see :func:`bnconform_adapters.plain.calling.place`. A layout that
        a wrapper copies first tests nothing: do not claim it.
    modes : tuple of str
        "training", "inference".
    gradients : tuple of str
        Modes in which it returns dx, dweight and dbias.
    second_order : tuple of str
        Modes in which the adapter has `second_order`: ``second_order(case)`` returns an Outcome with the gradients of
        sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight, as `ddy`, `dx` and `dweight`.
    forward_mode : tuple of str
        Modes in which the adapter has `jvp`: ``jvp(case)`` returns an Outcome with `y_tangent`, for the tangents ddx,
        ddweight and ddbias.
    parameters : tuple of str
        Accepted sets of weight and bias: "both", one of them, "neither".
    eps_min : float
        Smallest eps it accepts; 0 if eps = 0 works on data whose variance is not 0.
    momentum_min : float
        Smallest weight of the new batch that it accepts; 0 if that freezes the statistics.
    grade : str
        Accumulation grade, see :data:`bnconform_reference.precision.Grade`.
    untracked : bool
        Whether it works without running statistics; inference then uses the batch's own.
    tracked : bool
        Whether it has running statistics; False for a layer that always uses the batch's own.
    parameter_gradients : bool
        Whether it returns dweight and dbias; False for a layer whose weight and bias are constants.
    interleaved : bool
        Whether a backward pass may come after later forward passes of the same layer; False for an object that keeps
        the values of its last forward pass only.
    strided_statistics : bool
        Whether running statistics may be non-contiguous views, which it updates.
    gradient_subsets : bool
        Whether a caller can ask for some of dx, dweight and dbias only.
    empty_batches : bool
        Whether to test training on a batch without samples; the dialect says what must happen.
    zero_channels : str
        Result for an x without channels: "empty" for a y without channels, "raises" for an exception, or "either",
        which a candidate file claims unless it states another.
    checks_arguments : bool
        Whether wrong shapes and a negative eps raise. False for a raw kernel behind a wrapper that checks: the suite
        then passes correct arguments only.
    refuses_with : tuple of str
        Built-in exceptions that also mean a deliberate refusal, "IndexError" for example. ValueError, TypeError,
        RuntimeError and AssertionError always do. Any other exception is an accident, not a refusal.
    own_process : bool
        Whether it runs in a separate process, so that the suite can report a crash or a hang.
    population : bool
        Whether the adapter has `population`, which returns the statistics of a whole data set.
    shards : tuple of str
        Splits of a training batch over devices that `shards` of the adapter supports: "equal", "unequal", "empty".
        ``shards(cases)`` runs one step of one layer, each case on its own device, with the statistics of all cases
        together. It returns an Outcome for each; dweight and dbias are the device's part of the whole batch's.
    devices : int
        Largest number of shards.
    bitwise : bool
        Whether outputs keep their bits if x is scaled by a power of 2 or negated, or if other channels are permuted or
        changed; otherwise outputs stay within the allowed errors.
    fixed_eps, fixed_momentum : float or None
        The only eps, and the only weight of the new batch, if a caller cannot choose; None if one can.
    float32_scalars : bool
        Whether eps and momentum are stored in float32 also for float64 data, as ONNX attributes are. The suite then
        uses only values that float32 holds exactly.
    default_eps, default_momentum : float or None
        The implementation's defaults, momentum as it defines it; None if the argument is required.
    cost : str
        Cost of a new shape: none, a compilation, or an interpreter for every call.
    largest : int or None
        Largest number of elements of a drawn x, if a run's time budget limits it; a candidate file cannot set it.
    interpreter : bool
        Whether a candidate file's kernels run in Triton's interpreter, which is not safe in threads.
    own : OwnInput or None
        The x that a candidate file's get_inputs() makes, or the nearest one that fits into memory.
    """

    dialect: Dialect = PYTORCH
    dtypes: tuple[DtypeName, ...] = ("float32",)
    ranks: tuple[int, ...] = (2, 3, 4, 5)
    layouts: tuple[Layout, ...] = (
        "contiguous",
        "channels_last",
        "transposed",
        "sliced",
        "reversed",
        "expanded",
        "far",
    )
    modes: tuple[Mode, ...] = ("training", "inference")
    gradients: tuple[Mode, ...] = ("training", "inference")
    second_order: tuple[Mode, ...] = ()
    forward_mode: tuple[Mode, ...] = ()
    parameters: tuple[Parameters, ...] = ("both", "weight", "bias", "neither")
    eps_min: float = 1e-12
    momentum_min: float = 0.0
    grade: Grade = "NW"
    untracked: bool = False
    tracked: bool = True
    parameter_gradients: bool = True
    interleaved: bool = True
    strided_statistics: bool = False
    gradient_subsets: bool = False
    empty_batches: bool = True
    population: bool = False
    shards: tuple[Split, ...] = ()
    devices: int = 4
    zero_channels: ZeroChannels = "empty"
    checks_arguments: bool = True
    refuses_with: tuple[str, ...] = ()
    own_process: bool = False
    bitwise: bool = True
    fixed_eps: float | None = None
    fixed_momentum: float | None = None
    float32_scalars: bool = False
    default_eps: float | None = None
    default_momentum: float | None = None
    cost: Cost = "cheap"
    largest: int | None = None
    interpreter: bool = False
    own: OwnInput | None = None

    @property
    def any_eps(self) -> bool:
        """Whether a caller chooses eps."""
        return self.fixed_eps is None

    @property
    def any_refusal(self) -> bool:
        """Whether any call must raise, so that the suite can check the layer afterwards."""
        return self.checks_arguments or self.dialect.one_value == "raises"

    def usable_eps(self, wanted: tuple[float, ...]) -> tuple[float, ...]:
        """Replace each wanted eps by the nearest accepted one, or return the only possible eps."""
        usable = (self.fixed_eps,) if self.fixed_eps is not None else tuple(max(eps, self.eps_min) for eps in wanted)
        if self.float32_scalars:
            usable = tuple(_in_float32(eps, self.eps_min) for eps in usable)
        return tuple(dict.fromkeys(usable))

    def usable_momenta(self, wanted: tuple[float | None, ...]) -> tuple[float | None, ...]:
        """Replace each wanted momentum by the nearest accepted one, or return the only possible momentum."""
        if self.fixed_momentum is not None:
            wanted = (self.fixed_momentum,)
        usable = tuple(None if momentum is None else max(momentum, self.momentum_min) for momentum in wanted)
        if self.float32_scalars:
            usable = tuple(None if share is None else _share_in_float32(share, self.momentum_min) for share in usable)
        return tuple(dict.fromkeys(usable))

    def usable_layouts(self, rank: int) -> tuple[Layout, ...]:
        """Return the claimed layouts for x of a rank: (N, C) has no other channels_last, an expanded x is constant."""
        unsuitable = ("expanded", "channels_last") if rank == 2 else ("expanded",)
        return tuple(layout for layout in self.layouts if layout not in unsuitable)

    def plain_layout(self, rank: int) -> Layout:
        """Return the claimed layout that is nearest to contiguous."""
        usable = self.usable_layouts(rank)
        return "contiguous" if "contiguous" in usable else next((one for one in usable if one != "far"), "contiguous")


def _in_float32(eps: float, least: float) -> float:
    """Return the nearest eps that float32 holds and that is not below the least."""
    nearest = np.float32(eps)
    return float(nearest if float(nearest) >= least else np.nextafter(nearest, np.float32(np.inf)))


def _share_in_float32(momentum: float, least: float) -> float:
    """Return the nearest share, not below the least, for which float32 holds both the share and 1 - share exactly."""
    steps = 1 / UNIT_ROUNDOFF["float32"]
    nearest = round(momentum * steps)
    return (nearest if nearest >= least * steps else nearest + 1) / steps


def with_values(claims: Claims, values: Mapping[str, Any]) -> Claims:
    """Return `claims` with some fields replaced by values from JSON or TOML, where lists stand for tuples."""
    changed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return replace(claims, **changed)


def with_entries(claims: Claims, entries: Mapping[str, Any]) -> Claims:
    """Return `claims` changed by the entries of a file's CLAIMS, some of which are fields of the dialect."""
    conventions = {field.name for field in fields(Dialect)}
    dialect = replace(claims.dialect, **{k: v for k, v in entries.items() if k in conventions})
    others = {k: v for k, v in entries.items() if k not in conventions}
    return with_values(replace(claims, dialect=dialect), others)
