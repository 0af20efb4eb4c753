"""Candidate files with functions on NumPy arrays, torch tensors or JAX arrays.

A file defines any of these functions, with channels on axis 1::

    forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps)
        -> y, running_mean, running_var, saved
    forward_inference(x, weight, bias, running_mean, running_var, *, eps) -> y
    backward(dy, saved) -> dx, dweight, dbias
    backward_inference(dy, x, weight, running_mean, running_var, *, eps) -> dx, dweight, dbias
    double_backward(ddx, ddweight, ddbias, dy, saved) -> ddy, dx, dweight
    jvp(x, weight, bias, x_tangent, weight_tangent, bias_tangent, *, eps) -> y_tangent

For a batch that is split over several devices, a file defines all of::

    partial_statistics(x) -> partial
    forward_merged(x, weight, bias, running_mean, running_var, partials, *, momentum, eps)
        -> y, running_mean, running_var, saved
    partial_gradients(dy, saved) -> partial
    backward_merged(dy, saved, partials) -> dx, dweight, dbias

Every device calls them on its own shard, even an empty one. The partial_ functions may return anything; the merged
functions get a list of these values, one for each device, as from an all_gather. dweight and dbias are the device's
part of the whole batch's; the parts are summed, as gradients of replicas are.

weight and bias may be None. Running statistics are returned as new arrays, or as None if the given arrays were updated
in place. With half types, parameters and statistics are float32; otherwise they have x's dtype. A missing function is
not claimed. double_backward returns the gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x
and weight, for the dx, dweight and dbias of backward(dy, saved). jvp is forward mode of training. Both get None as the
vector of a parameter that is None.

``get_inputs()`` may return ``[x]``, as in KernelBench's form: X9 then judges the functions at its size.

``ARRAYS`` states the kind of arrays, ``DEVICE`` their device. No input requires gradients, since these functions
compute them; results that require gradients are detached. JAX arrays are contiguous and cannot be updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import arrays_of
from bnconform_adapters.candidate.module_file import built
from bnconform_adapters.candidate.own_inputs import SAMPLE, own_input
from bnconform_adapters.candidate.statements import NOT_OF_FUNCTIONS, Statements
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.claims import Mode
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.own_input import OwnInput
from bnconform_reference.dialect import Dialect

OVER_DEVICES = ("partial_statistics", "forward_merged", "partial_gradients", "backward_merged")
FUNCTIONS = (
    *("forward_training", "forward_inference", "backward", "backward_inference", "double_backward", "jvp"),
    *OVER_DEVICES,
)
NEAR = 0.85
"""Similarity from which an unknown name counts as a misspelt function name."""


def functions_of(offered: Any) -> dict[str, Callable[..., Any]]:
    """Return the contract's functions that an object has; empty if it has no forward pass."""
    found = {f: getattr(offered, f) for f in FUNCTIONS if callable(getattr(offered, f, None))}
    return found if {"forward_training", "forward_inference"} & set(found) else {}


def functions_candidate(title: str, functions: Mapping[str, Callable[..., Any]], stated: Statements) -> Candidate:
    """Return the adapter of a file's functions.

    Raises
    ------
    AdapterError
        A statement of the file is wrong.
    """
    arrays = arrays_of(stated)
    modes: dict[Mode, str] = {"training": "forward_training", "inference": "forward_inference"}
    gradients: dict[Mode, str] = {"training": "backward", "inference": "backward_inference"}
    base = replace(
        arrays.claims,
        dialect=Dialect(cumulative=False),  # the contract has no argument for a count of batches
        modes=tuple(mode for mode, f in modes.items() if f in functions),
        gradients=tuple(mode for mode, f in gradients.items() if f in functions),
        second_order=("training",) if {"forward_training", "backward", "double_backward"} <= set(functions) else (),
        forward_mode=("training",) if {"forward_training", "jvp"} <= set(functions) else (),
        shards=("equal", "unequal", "empty") if set(OVER_DEVICES) <= set(functions) else (),
    )
    own, remarks = _own(stated)
    remarks = (*remarks, *_compiled(stated, arrays.kind))
    claims = stated.claims(replace(base, own=own), arrays.layouts, without=NOT_OF_FUNCTIONS)
    what = f"functions {', '.join(functions)}"
    remarks = (*misspelt(stated.tested), *remarks)
    return Candidate.of(title, claims, f"plain.candidate_{arrays.kind}", stated, what, remarks)


def _compiled(stated: Statements, kind: str) -> tuple[str, ...]:
    """Return a remark if the functions are called under jax.jit."""
    if kind != "jax":
        return ()
    from bnconform_adapters.plain.jitted_functions import kernel_of

    if kernel_of(stated) is stated.tested:
        return ()
    return ("the functions are called under jax.jit; JIT = False in the file calls them as they are",)


def _own(stated: Statements) -> tuple[OwnInput | None, tuple[str, ...]]:
    """Return what the file's get_inputs() makes, and a remark on it; None if it has no such function.

    Raises
    ------
    AdapterError
        get_inputs() raises, or returns anything but one array of a claimable rank.
    """
    make = stated.stated("get_inputs", None)
    if make is None:
        return None, ()
    inputs = list(built(make, f"{stated.path}: get_inputs()"))
    if len(inputs) != 1 or getattr(inputs[0], "ndim", 0) not in RANKS:
        raise AdapterError(f"{stated.path}: get_inputs() must return [x], with x of shape (N, C) or (N, C, *spatial)")
    x = inputs[0]
    axis, dtype = stated.channel_axis() % x.ndim, str(x.dtype).removeprefix("torch.")
    shape = (x.shape[0], x.shape[axis], *(size for i, size in enumerate(x.shape) if i not in (0, axis)))
    flat = x.reshape(-1)
    values = flat[:: max(1, len(flat) // SAMPLE)]
    sample = values.double().numpy(force=True) if hasattr(values, "numpy") else np.asarray(values, np.float64)
    own, remark = own_input(shape, dtype, sample)
    return own, (remark,) if remark else ()


def misspelt(offered: Any) -> tuple[str, ...]:
    """Return remarks on functions that are not called, because their names are slightly wrong."""
    own = [n for n, value in getattr(offered, "__dict__", {}).items() if callable(value) and n not in FUNCTIONS]
    near = {name: _nearest(name) for name in own if not hasattr(offered, _nearest(name) or name)}
    return tuple(f"{name} is not called; did you mean {meant}?" for name, meant in near.items() if meant)


def _nearest(name: str) -> str:
    """Return the contract's function of the same words, or the most similar one, or an empty string."""
    words = {frozenset(one.split("_")): one for one in FUNCTIONS}
    close = get_close_matches(name, FUNCTIONS, n=1, cutoff=NEAR)
    return words.get(frozenset(name.split("_"))) or (close[0] if close else "")
