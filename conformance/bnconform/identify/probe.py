"""Calls of an implementation with small probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.judging.findings import signature
from bnconform.judging.judge import FLOATING
from bnconform.judging.oracle import Quantity, expect
from bnconform_adapters.calls import run_steps
from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.contract import DTYPES, Adapter, Case, Outcome, parameter_dtype
from bnconform_reference.channel_axes import from_channel_rows
from bnconform_reference.double_double import Array
from bnconform_reference.precision import DtypeName, Grade

WIDEST: Grade = "NN"
"""The accumulation grade with the largest allowed errors, so that a probe does not mistake rounding for a dialect."""


class Unanswered(Exception):
    """A probe gave nothing to compare; the message is one line with the reason.

    Parameters
    ----------
    message : str
    fatal : bool
        Whether the call ended the process, which is an answer of its own.
    """

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal


class Probe:
    """An implementation, and the probes that it takes.

    The claims decide only the form of a probe: dtype, rank, presence of parameters, modes.

    Parameters
    ----------
    adapter : Adapter

    Attributes
    ----------
    dtype : str
        float32 if it is claimed, else the first claimed dtype.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.claims = adapter.claims
        self.dtype: DtypeName = "float32" if "float32" in self.claims.dtypes else self.claims.dtypes[0]
        self._rank = min(self.claims.ranks)
        self._parameters = "both" if "both" in self.claims.parameters else self.claims.parameters[0]

    def shape(self, n: int) -> tuple[int, ...]:
        """Shape of a batch of n values per channel."""
        return (n, CHANNELS) + (1,) * (self._rank - 2)

    def case(self, rows: NDArray[Any], *, dtype: DtypeName | None = None, **values: Any) -> Case:
        """A case of rows (C, n): weight 1, bias 0 and statistics 0 and 1, unless `values` say otherwise.

        Per-channel values may be numbers, for all channels, or sequences. None stands for absence.
        """
        dtype = dtype or self.dtype
        wide = DTYPES[parameter_dtype(dtype)]
        defaults: dict[str, Any] = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        values = defaults | values
        for name in defaults:
            if values[name] is not None:
                values[name] = np.broadcast_to(np.asarray(values[name], wide), (CHANNELS,)).copy()
        for name in ("weight", "bias"):
            if self._parameters not in ("both", name):
                values[name] = None
        if not self.claims.tracked:
            values |= {"running_mean": None, "running_var": None}
        if not self.claims.parameter_gradients:
            values["wanted"] = "dx"
        x = from_channel_rows(np.asarray(rows, np.float64), self.shape(rows.shape[1])).astype(DTYPES[dtype])
        layout = self.claims.plain_layout(self._rank)
        return Case(x=x, layout=layout, dy_layout=layout, **values)

    def need(self, mode: Mode) -> None:
        """Raise Unanswered if the mode is not claimed."""
        if mode not in self.claims.modes:
            raise Unanswered(f"it offers no {mode}")

    def attempt(self, *cases: Case) -> list[Outcome]:
        """Call a new layer with each case."""
        return run_steps(self.adapter, cases)

    def run(self, *cases: Case) -> list[Outcome]:
        """Call a new layer with each case.

        Raises
        ------
        Unanswered
            A call raised or did not come back.
        """
        return returned(self.attempt(*cases))


def returned(outcomes: list[Outcome]) -> list[Outcome]:
    """The same outcomes, if every call returned.

    Raises
    ------
    Unanswered
        A call raised or did not come back.
    """
    for outcome in outcomes:
        if outcome.error is not None:
            raise Unanswered(trouble(outcome), fatal=bool(outcome.exit))
    return outcomes


_FATES = {
    "crashed": "crashes",
    "hung": "hangs",
    "exited": "exits",
    "out of memory": "takes too much memory",
    "corrupted device": "loses the device",
}


def trouble(outcome: Outcome) -> str:
    """The failure of a call that gave no values, in words."""
    return f"{_FATES.get(outcome.exit, 'raises')}: {outcome.error}"


def got(outcome: Outcome, name: str, case: Case) -> NDArray[Any]:
    """Return an output of a call, if it can be compared.

    Raises
    ------
    Unanswered
        The output is missing, or has another kind or shape.
    """
    array: NDArray[Any] | None = getattr(outcome, name)
    shape = case.x.shape if name in ("y", "dx") else (case.channels,)
    if array is None:
        raise Unanswered(f"{name} is missing")
    if array.dtype not in FLOATING or array.shape != shape:
        raise Unanswered(f"{name} is {signature(array)}; the probe has shape {list(shape)}")
    return array


def predicted(case: Case, name: str) -> Quantity:
    """Expected values of a case in PyTorch's dialect, with errors for any arithmetic."""
    return expect(case, Claims(grade=WIDEST))[name]


def finite(*arrays: Array | None) -> bool:
    """Return True if all values are there and finite."""
    return all(array is not None and bool(np.isfinite(array.astype(np.float64)).all()) for array in arrays)


def few(values: NDArray[Any] | Sequence[float] | None) -> str:
    """Some values as text."""
    if values is None:
        return "None"
    flat = np.asarray(values).astype(np.float64).ravel()
    return ", ".join(f"{value:.6g}" for value in flat[:CHANNELS])
