"""Types that the suite and an adapter exchange: a Case goes in, an Outcome comes out, Claims say what to expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.claims import Claims, Layout
from bnconform_adapters.exits import Exit
from bnconform_reference.precision import DtypeName

AnyArray: TypeAlias = NDArray[Any]
Before: TypeAlias = Literal["nothing", "load", "reset"]

DTYPES: dict[DtypeName, np.dtype[Any]] = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dtype_name(array: AnyArray) -> DtypeName:
    """Return the name of an array's dtype."""
    name = _NAMES.get(array.dtype)  # NumPy builds the string of `dtype.name` on every access
    return array.dtype.name if name is None else name  # type: ignore[return-value]


def parameter_dtype(dtype: DtypeName) -> DtypeName:
    """Return the dtype of weight, bias and statistics for an x of `dtype`: float32 for half types."""
    return "float64" if dtype == "float64" else "float32"


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """One call of a batch norm, complete and immutable.

    Attributes
    ----------
    x : array, shape (N, C, *spatial), of one of the dtypes in :data:`DTYPES`
        Input, C-contiguous. `layout` says how the implementation sees it in memory.
    dy : array of x's shape and dtype, or None
        Gradient of a loss with respect to y. None means no backward pass.
    weight, bias : arrays, shape (C,), or None where absent
    running_mean, running_var : arrays, shape (C,), or None where nothing is tracked
    training : bool
        True: normalize by batch statistics and update the running ones. False: normalize by the running statistics.
    momentum : float or None
        Weight of the *new* batch, also if the implementation defines momentum differently. None is the cumulative
        average.
    eps : float
    layout, dy_layout : str
        Memory layout of x and of dy.
    statistics_layout : str
        "contiguous", or "sliced": every second element of a larger buffer.
    parameters_layout : str
        The same for weight and bias, if the implementation takes arrays.
    read_only : bool
        Whether x, dy, weight and bias are passed as read-only arrays, if the framework has them.
    before : str
        Change to a layer that was called before: "load" gives it this case's parameters and statistics, "reset" the
        initial statistics, which are then this case's; "nothing" leaves the layer as it is.
    wanted : str
        Gradients to ask for, by the Outcome's names, separated by spaces.
    ddx, ddweight, ddbias : arrays like x, weight and bias, or None
        Cotangents of dx, dweight and dbias for second-order gradients; tangents of x, weight and bias in forward
        mode. None stands for zeros. ddx has the memory layout of x.
    origin : str
        Regime, shape and seed that build the case again.
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
        """Print `repr` where IPython and Hypothesis would print every field of a dataclass."""
        printer.text(repr(self))

    @property
    def dtype(self) -> DtypeName:
        """Name of x's dtype."""
        return dtype_name(self.x)

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return int(self.x.shape[1])

    @property
    def values_per_channel(self) -> int:
        """Reduction length n: N times the product of the spatial axes."""
        return int(self.x.shape[0] * np.prod(self.x.shape[2:], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of calling an implementation with a Case.

    Arrays have the axes of the Case and the implementation's own dtypes; None means not returned.

    Attributes
    ----------
    y, dx : arrays of x's shape
    running_mean, running_var, dweight, dbias : arrays, shape (C,)
    error : str or None
        Type and message of the exception, if the call raised; a description of `exit`, if that is not empty.
    exit : str
        State of the process if the call did not come back, or if no other call may follow it; see
        :data:`~bnconform_adapters.exits.Exit`.
    inputs_after : mapping of str to array
        The input arrays after the call, under the names of the Case's fields.
    shared : tuple of str
        Pairs that share memory, "y and x" for example: two results, or a result and an input.
    overrun : tuple of str
        Inputs around which the call wrote memory.
    ddy : array of x's shape
        Second-order gradient with respect to dy. The other two are then in dx and dweight.
    y_tangent : array of x's shape
        Tangent of y in forward mode.
    """

    y: AnyArray | None = None
    running_mean: AnyArray | None = None
    running_var: AnyArray | None = None
    dx: AnyArray | None = None
    dweight: AnyArray | None = None
    dbias: AnyArray | None = None
    error: str | None = None
    exit: Exit = ""
    inputs_after: Mapping[str, AnyArray] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    overrun: tuple[str, ...] = ()
    ddy: AnyArray | None = None
    y_tangent: AnyArray | None = None


Finish: TypeAlias = Callable[[], Outcome]
"""The rest of a call: runs the backward pass, if the case asks for one, and returns all results. A second call runs a
second backward pass of the same forward pass."""

Layer: TypeAlias = Callable[[Case], Finish]
"""A built layer: each call runs the forward pass with the case's x and mode. The state stays for the next call."""


class Adapter(Protocol):
    """The way to call one implementation. An adapter translates and never judges."""

    @property
    def name(self) -> str:
        """Unique name, the value of `--adapter`."""

    @property
    def claims(self) -> Claims:
        """Properties that the implementation claims."""

    def layer(self, case: Case) -> Layer:
        """Build a new layer with the case's parameters, statistics, eps and momentum."""


@runtime_checkable
class GivesSecondOrder(Protocol):
    """An adapter of an implementation that claims `second_order`."""

    def second_order(self, case: Case) -> Outcome:
        """Differentiate the backward pass of a new layer: `ddy`, `dx` and `dweight`; see :class:`Claims`."""


@runtime_checkable
class GivesTangents(Protocol):
    """An adapter of an implementation that claims `forward_mode`."""

    def jvp(self, case: Case) -> Outcome:
        """Return the tangent of y of a new layer as `y_tangent`; see :class:`Claims`."""


@runtime_checkable
class RunsShards(Protocol):
    """An adapter of an implementation that claims `shards`."""

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """Run one step of a new layer over several devices, one case on each; see :class:`Claims`."""


@runtime_checkable
class GivesPopulation(Protocol):
    """An adapter of an implementation that claims `population`."""

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Return running statistics of the data set whose batches are the cases' x."""


def describe_error(error: BaseException) -> str:
    """Return an exception as one line: its type and the first line of its message."""
    try:
        message = str(error).strip().splitlines()
    except Exception:  # the exception's own __str__ raises
        message = []
    return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
