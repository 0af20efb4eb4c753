"""Batch norm as functions, on NumPy arrays, torch tensors or JAX arrays.

A file offers, with channels on axis 1, any of::

    forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps)
        -> y, running_mean, running_var, saved
    forward_inference(x, weight, bias, running_mean, running_var, *, eps) -> y
    backward(dy, saved) -> dx, dweight, dbias
    backward_inference(dy, x, weight, running_mean, running_var, *, eps) -> dx, dweight, dbias
    double_backward(ddx, ddweight, ddbias, dy, saved) -> ddy, dx, dweight
    jvp(x, weight, bias, x_tangent, weight_tangent, bias_tangent, *, eps) -> y_tangent

and, for a batch that lies in shards on several devices, all of::

    partial_statistics(x) -> partial
    forward_merged(x, weight, bias, running_mean, running_var, partials, *, momentum, eps)
        -> y, running_mean, running_var, saved
    partial_gradients(dy, saved) -> partial
    backward_merged(dy, saved, partials) -> dx, dweight, dbias

which every device calls on its own shard, even an empty one; what the partial_ functions return is whatever the file
likes, and the others get a list of it, one for each device, as an all_gather would give. dweight and dbias are the
device's own part of the whole batch's, to be added up as gradients of replicas are.

weight and bias may be None. Running statistics come back as new arrays, or as None where the given ones were updated
in place. Parameters and statistics are float32 beside half types and have x's dtype otherwise. What is absent is not
claimed. double_backward gives the gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias), for what
backward(dy, saved) returns, by dy, x and weight; jvp is forward mode of training. Both get None beside a parameter that
is None.

``ARRAYS`` says which arrays they are, and ``DEVICE`` where. No input requires gradients, since these functions give
them; results that do are detached. JAX arrays are contiguous and cannot be updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import arrays_of
from bnconform_adapters.candidate.statements import NOT_OF_FUNCTIONS, Statements
from bnconform_adapters.claims import Mode
from bnconform_reference.dialect import Dialect

OVER_DEVICES = ("partial_statistics", "forward_merged", "partial_gradients", "backward_merged")
FUNCTIONS = (
    *("forward_training", "forward_inference", "backward", "backward_inference", "double_backward", "jvp"),
    *OVER_DEVICES,
)
NEAR = 0.85
"""How like a function's name another has to be to be taken for a slip of the pen."""


def functions_of(offered: Any) -> dict[str, Callable[..., Any]]:
    """The contract's functions that an object has; empty where it has no forward pass."""
    found = {f: getattr(offered, f) for f in FUNCTIONS if callable(getattr(offered, f, None))}
    return found if {"forward_training", "forward_inference"} & set(found) else {}


def functions_candidate(title: str, functions: Mapping[str, Callable[..., Any]], stated: Statements) -> Candidate:
    """The adapter of a file's functions.

    Raises
    ------
    AdapterError
        What the file states of itself cannot be.
    """
    arrays = arrays_of(stated)
    modes: dict[Mode, str] = {"training": "forward_training", "inference": "forward_inference"}
    gradients: dict[Mode, str] = {"training": "backward", "inference": "backward_inference"}
    base = replace(
        arrays.claims,
        dialect=Dialect(cumulative=False),  # the contract has no place for a count of batches
        modes=tuple(mode for mode, f in modes.items() if f in functions),
        gradients=tuple(mode for mode, f in gradients.items() if f in functions),
        second_order=("training",) if {"forward_training", "backward", "double_backward"} <= set(functions) else (),
        forward_mode=("training",) if {"forward_training", "jvp"} <= set(functions) else (),
        shards=("equal", "unequal", "empty") if set(OVER_DEVICES) <= set(functions) else (),
    )
    claims = stated.claims(base, arrays.layouts, without=NOT_OF_FUNCTIONS)
    what = f"functions {', '.join(functions)}"
    return Candidate.of(title, claims, arrays.plain_code, stated, what, misspelt(stated.tested))


def misspelt(offered: Any) -> tuple[str, ...]:
    """Remarks on functions whose names are nearly those of the contract, which nobody calls."""
    own = [n for n, value in getattr(offered, "__dict__", {}).items() if callable(value) and n not in FUNCTIONS]
    near = {name: _nearest(name) for name in own if not hasattr(offered, _nearest(name) or name)}
    return tuple(f"{name} is not called; did you mean {meant}?" for name, meant in near.items() if meant)


def _nearest(name: str) -> str:
    """The contract's function that a name is most like, or the one of the same words; empty where there is none."""
    words = {frozenset(one.split("_")): one for one in FUNCTIONS}
    close = get_close_matches(name, FUNCTIONS, n=1, cutoff=NEAR)
    return words.get(frozenset(name.split("_"))) or (close[0] if close else "")
