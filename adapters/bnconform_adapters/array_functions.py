"""What adapters of functions on NumPy arrays share: a layer that keeps parameters and statistics for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from bnconform_adapters.contract import AnyArray, Case, Finish, Layer, Outcome
from bnconform_adapters.memory import place, shared_pairs

KEPT = ("weight", "bias", "running_mean", "running_var")

Call: TypeAlias = Callable[[Mapping[str, AnyArray], bool], Sequence[AnyArray]]
"""y, and in training the new mean and variance, from x and what is kept by the Case's names, and whether it trains."""


def array_layer(case: Case, call: Call) -> Layer:
    """Build a layer of a function on arrays, which gets x in guarded memory.

    Parameters
    ----------
    case : Case
        What the layer is built for.
    call : callable
        See :data:`Call`.

    Raises
    ------
    ValueError
        The case has no running statistics.
    """
    if case.running_mean is None or case.running_var is None:
        raise ValueError("there are no running statistics; the function takes some in each mode")
    kept = {name: array.copy() for name in KEPT if (array := getattr(case, name)) is not None}

    def step(case: Case) -> Finish:
        placed = {"x": place(case.x, case.layout)}
        placed |= {name: place(array, "contiguous") for name, array in kept.items()}
        given = {name: one.array for name, one in placed.items()}
        if case.read_only:
            for array in given.values():
                array.flags.writeable = False
        y, *moved = call(given, case.training)
        if case.training:
            kept["running_mean"], kept["running_var"] = (array.copy() for array in moved)
        outcome = Outcome(
            y=y,
            running_mean=kept["running_mean"].copy(),
            running_var=kept["running_var"].copy(),
            inputs_after={name: given[name].copy() for name in ("x", "weight", "bias") if name in given},
            shared=shared_pairs({"y": y}, given),
            overrun=tuple(name for name, one in placed.items() if one.overrun()),
        )
        return lambda: outcome

    return step
