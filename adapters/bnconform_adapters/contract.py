"""What the suite and an adapter tell each other: a Case in, an Outcome out, and Claims beforehand."""

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


class UserError(Exception):
    """What was asked for is not possible; the message is one line that says what to do."""


class AdapterError(UserError):
    """There is no such implementation, or it cannot be loaded."""


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
        Type and message of the exception, if it raised; where there is a exit, what is known of that.
    exit : str
        What became of the process, where the call did not come back or must not be followed by another; see
        :data:`~bnconform_adapters.exits.Exit`.
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
    exit: Exit = ""
    inputs_after: Mapping[str, AnyArray] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    overrun: tuple[str, ...] = ()
    ddy: AnyArray | None = None
    y_tangent: AnyArray | None = None


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


@runtime_checkable
class GivesSecondOrder(Protocol):
    """An adapter of an implementation that claims `second_order`."""

    def second_order(self, case: Case) -> Outcome:
        """Gradients of the backward pass of a new layer, as `ddy`, `dx` and `dweight`; see :class:`Claims`."""


@runtime_checkable
class GivesTangents(Protocol):
    """An adapter of an implementation that claims `forward_mode`."""

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y of a new layer, as `y_tangent`; see :class:`Claims`."""


@runtime_checkable
class RunsShards(Protocol):
    """An adapter of an implementation that claims `shards`."""

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """One step of a new layer over several devices, a case on each; see :class:`Claims`."""


@runtime_checkable
class GivesPopulation(Protocol):
    """An adapter of an implementation that claims `population`."""

    def population(self, cases: Sequence[Case]) -> Outcome:
        """Running statistics of the data set whose batches are the cases' x."""


def describe_error(error: BaseException) -> str:
    """An exception as one line: its type and the first line of its message."""
    try:
        message = str(error).strip().splitlines()
    except Exception:  # its own __str__ raises
        message = []
    return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
