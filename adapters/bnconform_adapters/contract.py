"""What the suite and an adapter tell each other: a Case in, an Outcome out, and Claims beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.fates import Fate
from bnconform_reference.dialect import PYTORCH, Dialect
from bnconform_reference.precision import UNIT_ROUNDOFF, DtypeName, Grade

AnyArray: TypeAlias = NDArray[Any]
Layout: TypeAlias = Literal["contiguous", "channels_last", "transposed", "sliced", "reversed", "expanded", "far"]
Parameters: TypeAlias = Literal["both", "weight", "bias", "neither"]
Mode: TypeAlias = Literal["training", "inference"]
Cost: TypeAlias = Literal["cheap", "compiles per shape", "interpreted"]
Before: TypeAlias = Literal["nothing", "load", "reset"]
Split: TypeAlias = Literal["equal", "unequal", "empty"]

DTYPES: dict[DtypeName, np.dtype[Any]] = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class AdapterError(Exception):
    """An adapter cannot be had; the message is one line that says what to do."""


class StartError(AdapterError):
    """The suite cannot start a worker; it says nothing of the implementation."""


def dtype_name(array: AnyArray) -> DtypeName:
    """Name of an array's dtype."""
    name = _NAMES.get(array.dtype)  # NumPy puts a name together anew each time it is asked
    return array.dtype.name if name is None else name  # type: ignore[return-value]


def parameter_dtype(dtype: DtypeName) -> DtypeName:
    """dtype of weight, bias and statistics beside x of `dtype`: float32 for half types."""
    return "float64" if dtype == "float64" else "float32"


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """One call of a batch norm, complete and immutable.

    Attributes
    ----------
    x : array, shape (N, C, *spatial), of one of the dtypes in :data:`DTYPES`
        Canonical axes and C-contiguous; `layout` says how the implementation gets to see it in memory.
    dy : array of x's shape and dtype, or None
        Gradient of a loss with respect to y. None asks for no backward pass.
    weight, bias : arrays, shape (C,), or None where absent
    running_mean, running_var : arrays, shape (C,), or None where nothing is tracked
    training : bool
        Normalize by batch statistics and move the running ones; else by the running statistics.
    momentum : float or None
        Weight of the *new* batch, whatever the implementation's own sense; None is the cumulative average.
    eps : float
    layout, dy_layout : str
        Memory layout of x and of dy.
    statistics_layout : str
        "contiguous", or "sliced": every second element of a larger buffer.
    parameters_layout : str
        The same for weight and bias, where the implementation takes arrays.
    read_only : bool
        Whether x, dy, weight and bias are handed over as arrays that cannot be written, where there is such a thing.
    before : str
        What happens to the layer first, if it has been called: "load" gives it this case's parameters and
        statistics, "reset" the initial statistics, which are then this case's; otherwise those of the layer's
        first case stay.
    wanted : str
        Gradients to ask for, by the Outcome's names, separated by spaces.
    ddx, ddweight, ddbias : arrays like x, weight and bias, or None
        What dx, dweight and dbias are contracted with for second-order gradients, and the tangents of x, weight and
        bias in forward mode. None stands for zeros. ddx lies in memory as x does.
    origin : str
        How the case was made, in a form that makes it again: regime, shape, seed.
    """

    x: AnyArray
    dy: AnyArray | None = None
    weight: AnyArray | None = None
    bias: AnyArray | None = None
    running_mean: AnyArray | None = None
    running_var: AnyArray | None = None
    training: bool = True
    momentum: float | None = 0.1
    eps: float = 1e-5
    layout: Layout = "contiguous"
    dy_layout: Layout = "contiguous"
    statistics_layout: Layout = "contiguous"
    parameters_layout: Layout = "contiguous"
    read_only: bool = False
    before: Before = "nothing"
    wanted: str = "dx dweight dbias"
    ddx: AnyArray | None = None
    ddweight: AnyArray | None = None
    ddbias: AnyArray | None = None
    origin: str = ""

    def __repr__(self) -> str:
        mode = "training" if self.training else "inference"
        return f"<Case {self.dtype}{list(self.x.shape)} {mode} {self.origin}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """For pretty-printers that take dataclasses apart, as IPython's and Hypothesis' do."""
        printer.text(repr(self))

    @property
    def dtype(self) -> DtypeName:
        """Name of x's dtype."""
        return dtype_name(self.x)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.x.shape[1])

    @property
    def values_per_channel(self) -> int:
        """n, the reduction length: N times the product of the spatial axes."""
        return int(self.x.shape[0] * np.prod(self.x.shape[2:], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an implementation made of a Case.

    Arrays have the Case's canonical axes and the implementation's own dtypes; None means not given.

    Attributes
    ----------
    y, dx : arrays of x's shape
    running_mean, running_var, dweight, dbias : arrays, shape (C,)
    error : str or None
        Type and message of the exception, if it raised; where there is a fate, what is known of that.
    fate : str
        What became of the process, where the call did not come back or must not be followed by another; see
        :data:`~bnconform_adapters.fates.Fate`.
    inputs_after : mapping of str to array
        The input arrays as the implementation left them, under the names of the Case's fields.
    shared : tuple of str
        Pairs of results, or of a result and an input, that share memory, as in "y and x".
    overrun : tuple of str
        Inputs around which memory was written.
    ddy : array of x's shape
        Of second-order gradients: that with respect to dy. The others are dx and dweight then.
    y_tangent : array of x's shape
        Of forward mode: the tangent of y.
    """

    y: AnyArray | None = None
    running_mean: AnyArray | None = None
    running_var: AnyArray | None = None
    dx: AnyArray | None = None
    dweight: AnyArray | None = None
    dbias: AnyArray | None = None
    error: str | None = None
    fate: Fate = ""
    inputs_after: Mapping[str, AnyArray] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    overrun: tuple[str, ...] = ()
    ddy: AnyArray | None = None
    y_tangent: AnyArray | None = None


@dataclass(frozen=True)
class Claims:
    """What an implementation says of itself; what it does not claim is never held against it.

    The defaults are those of a candidate file that states nothing.

    Attributes
    ----------
    dialect : Dialect
    dtypes : tuple of str
        dtypes of x. Parameters and statistics are float32 beside half types.
    ranks : tuple of int
        Ranks of x, from 2 to 5.
    layouts : tuple of str
        Memory layouts of x and dy that it takes, see :func:`bnconform_adapters.plain.calling.place`; those that are
        copied before it sees them are not worth claiming.
    modes : tuple of str
        "training", "inference".
    gradients : tuple of str
        Modes in which it gives dx, dweight and dbias.
    second_order : tuple of str
        Modes in which the adapter has `second_order`: ``second_order(case)`` gives an Outcome with the gradients of
        sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight, as `ddy`, `dx` and `dweight`.
    forward_mode : tuple of str
        Modes in which the adapter has `jvp`: ``jvp(case)`` gives an Outcome with `y_tangent`, for ddx, ddweight and
        ddbias as tangents.
    parameters : tuple of str
        Which of weight and bias may be absent.
    eps_min : float
        Smallest eps it accepts; 0 where eps = 0 works on data whose variance is not 0.
    momentum_min : float
        Smallest weight of the new batch that it accepts; 0 where statistics can be frozen by it.
    grade : str
        Accumulation grade, see :data:`bnconform_reference.precision.Grade`.
    untracked : bool
        Whether it works without running statistics; inference then uses the batch's own.
    strided_statistics : bool
        Whether running statistics may be non-contiguous views, which are then updated.
    gradient_subsets : bool
        Whether some of dx, dweight and dbias can be asked for alone.
    empty_batches : bool
        Whether training on a batch without samples is to be asked of it at all; if so, it does as the dialect says.
    checks_arguments : bool
        Whether wrong shapes and a negative eps raise; False for a raw kernel behind a wrapper that checks, which is
        then called with right arguments only.
    refuses_with : tuple of str
        Built-in exceptions by which it refuses arguments on purpose, beside ValueError, TypeError, RuntimeError and
        assertions: "IndexError" for one. Any other is an accident, which is no refusal.
    own_process : bool
        Whether it runs in a process of its own, so that a crash or a hang can be told from an answer.
    population : bool
        Whether the adapter has `population`, which gives the statistics of a whole data set.
    shards : tuple of str
        Splits of a training batch over devices that the adapter has `shards` for: "equal", "unequal", "empty".
        ``shards(cases)`` makes one step of one layer whose statistics are those of all cases together, each on a device
        of its own, and gives an Outcome for each; dweight and dbias are the device's own part of the whole batch's.
    devices : int
        The most shards that there can be.
    bitwise : bool
        Whether scaling x by a power of 2, negating it, and permuting or changing other channels keep the bits;
        otherwise they keep within the allowed errors.
    fixed_eps, fixed_momentum : float or None
        The only eps, and the only weight of the new batch, where a caller cannot choose; None where one can.
    float32_scalars : bool
        Whether eps and momentum are held in float32 beside float64 data, as the attributes of ONNX are; then only
        values that float32 holds exactly are asked for.
    default_eps, default_momentum : float or None
        What it uses when nothing is given, momentum in its own sense; None where it must be given.
    cost : str
        What a new shape costs: nothing, a compilation, or everything (an interpreter).
    largest : int or None
        The most elements of an x that is drawn, where a run's time budget bounds them; no file states it.
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
    strided_statistics: bool = False
    gradient_subsets: bool = False
    empty_batches: bool = True
    population: bool = False
    shards: tuple[Split, ...] = ()
    devices: int = 4
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

    @property
    def any_eps(self) -> bool:
        """Whether a caller chooses eps."""
        return self.fixed_eps is None

    @property
    def any_refusal(self) -> bool:
        """Whether there is a call that must raise, after which a layer can be looked at."""
        return self.checks_arguments or self.dialect.one_value == "raises"

    def usable_eps(self, wanted: tuple[float, ...]) -> tuple[float, ...]:
        """The wanted values, each replaced by the nearest that it accepts; or the only one that there is."""
        usable = (self.fixed_eps,) if self.fixed_eps is not None else tuple(max(eps, self.eps_min) for eps in wanted)
        if self.float32_scalars:
            usable = tuple(_in_float32(eps, self.eps_min) for eps in usable)
        return tuple(dict.fromkeys(usable))

    def usable_momenta(self, wanted: tuple[float | None, ...]) -> tuple[float | None, ...]:
        """The wanted values, each replaced by the nearest that it accepts; or the only one that there is."""
        if self.fixed_momentum is not None:
            wanted = (self.fixed_momentum,)
        usable = tuple(None if momentum is None else max(momentum, self.momentum_min) for momentum in wanted)
        if self.float32_scalars:
            usable = tuple(None if share is None else _share_in_float32(share, self.momentum_min) for share in usable)
        return tuple(dict.fromkeys(usable))

    def usable_layouts(self, rank: int) -> tuple[Layout, ...]:
        """Claimed layouts that x of a rank can have: (N, C) is its own channels_last, an expanded x is constant."""
        unsuitable = ("expanded", "channels_last") if rank == 2 else ("expanded",)
        return tuple(layout for layout in self.layouts if layout not in unsuitable)

    def plain_layout(self, rank: int) -> Layout:
        """The claimed layout that is nearest to contiguous."""
        usable = self.usable_layouts(rank)
        return "contiguous" if "contiguous" in usable else next((one for one in usable if one != "far"), "contiguous")


def _in_float32(eps: float, least: float) -> float:
    """The nearest eps that float32 holds, and that is not below the least."""
    nearest = np.float32(eps)
    return float(nearest if float(nearest) >= least else np.nextafter(nearest, np.float32(np.inf)))


def _share_in_float32(momentum: float, least: float) -> float:
    """The nearest share of 1 that float32 holds exactly, as it does what is left of 1; it is not below the least."""
    steps = 1 / UNIT_ROUNDOFF["float32"]
    nearest = round(momentum * steps)
    return (nearest if nearest >= least * steps else nearest + 1) / steps


def with_values(claims: Claims, values: Mapping[str, Any]) -> Claims:
    """`claims` with some fields replaced by values as JSON or TOML have them: lists stand for tuples."""
    changed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return replace(claims, **changed)


Finish: TypeAlias = Callable[[], Outcome]
"""The rest of a call: runs the backward pass, if the case asks for one, and hands everything over. May be called
again, for a second backward pass of the same forward pass."""

Layer: TypeAlias = Callable[[Case], Finish]
"""A built layer: each call runs the forward pass on the case's x and mode, and keeps state for the next."""


class Adapter(Protocol):
    """How to call one implementation. Translation, never judgement."""

    @property
    def name(self) -> str:
        """Unique, as `--adapter` takes it."""

    @property
    def claims(self) -> Claims:
        """What the implementation says of itself."""

    def layer(self, case: Case) -> Layer:
        """Build a new layer with the case's parameters, statistics, eps and momentum."""


def describe_error(error: BaseException) -> str:
    """An exception as one line: its type and the first line of its message."""
    try:
        message = str(error).strip().splitlines()
    except Exception:  # its own __str__ raises
        message = []
    return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
