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

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from bnconform_adapters.candidate.arrays import Arrays, InMemory, NumpyArrays
from bnconform_adapters.candidate.statements import NOT_OF_FUNCTIONS, Statements
from bnconform_adapters.contract import (
    AdapterError,
    AnyArray,
    Case,
    Claims,
    Finish,
    Layer,
    Layout,
    Mode,
    Outcome,
)
from bnconform_reference.dialect import Dialect

OVER_DEVICES = ("partial_statistics", "forward_merged", "partial_gradients", "backward_merged")
FUNCTIONS = (
    *("forward_training", "forward_inference", "backward", "backward_inference", "double_backward", "jvp"),
    *OVER_DEVICES,
)
KINDS = ("numpy", "torch", "jax")
NEAR = 0.85
"""How like a function's name another has to be to be taken for a slip of the pen."""
_STATISTICS = ("running_mean", "running_var")
_GRADIENTS = ("dx", "dweight", "dbias")
_ARGUMENTS = ("x", "weight", "bias")
_VECTORS = ("ddx", "ddweight", "ddbias")


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
    arrays = _arrays(stated)
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
    return Candidate(title, claims, functions, arrays, misspelt(stated.offered))


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


def _arrays(stated: Statements) -> Arrays:
    kind, device = stated.chosen("ARRAYS", "numpy", KINDS), stated.chosen("DEVICE", "cpu")
    if kind == "torch":
        from bnconform_adapters.candidate.torch_functions import TorchArrays

        return TorchArrays(device, stated.path)
    if kind == "jax":
        from bnconform_adapters.candidate.jax_functions import JaxArrays

        return JaxArrays(device, stated.path)
    if device != "cpu":
        raise AdapterError(
            f"DEVICE in {stated.path} is {device!r}, but NumPy arrays are on the CPU; state ARRAYS = 'torch' or 'jax'"
        )
    return NumpyArrays()


def own_momentum(case: Case, dialect: Dialect) -> float | None:
    """The case's momentum in a dialect's sense."""
    return 1.0 - case.momentum if case.momentum is not None and dialect.momentum_weighs == "old" else case.momentum


class Candidate:
    """The adapter of a file's functions."""

    def __init__(
        self,
        name: str,
        claims: Claims,
        functions: Mapping[str, Callable[..., Any]],
        arrays: Arrays,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self.remarks = remarks
        self.what = f"functions {', '.join(functions)}"
        self.name = name
        self.claims = claims
        self.plain_code = arrays.plain_code
        self._functions = functions
        self._arrays = arrays

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        return _FunctionsLayer(self._functions, self.claims, self._arrays, case)

    def second_order(self, case: Case) -> Outcome:
        """Gradients of the backward pass, from what forward_training saved."""
        assert case.dy is not None
        arrays = self._arrays
        with arrays.settings(case):
            given = self._given(case) | {"dy": arrays.place(case.dy, case.dy_layout).array}
            statistics = (self._placed(case.running_mean), self._placed(case.running_var))
            found = self._functions["forward_training"](
                *_of(given, _ARGUMENTS), *statistics, momentum=case.momentum, eps=case.eps
            )
            *_, saved = _values(found, ("y", *_STATISTICS, "saved"), "forward_training")
            found = self._functions["double_backward"](*_of(given, _VECTORS), given["dy"], saved)
            ddy, dx, dweight = _values(found, ("ddy", "dx", "dweight"), "double_backward")
            return Outcome(
                ddy=arrays.to_numpy(ddy, "ddy"),
                dx=arrays.to_numpy(dx, "dx"),
                dweight=None if case.weight is None else arrays.to_numpy(dweight, "dweight"),
                inputs_after=self._after(given),
            )

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y in training."""
        with self._arrays.settings(case):
            given = self._given(case)
            found = self._functions["jvp"](*_of(given, (*_ARGUMENTS, *_VECTORS)), eps=case.eps)
            return Outcome(y_tangent=self._arrays.to_numpy(found, "y_tangent"), inputs_after=self._after(given))

    def shards(self, cases: Sequence[Case]) -> list[Outcome]:
        """A step over several devices, each with its own parameters and statistics, in this one process."""
        functions, arrays, names = self._functions, self._arrays, ("weight", "bias", *_STATISTICS)
        with arrays.settings(cases[0]):
            inputs = [self._placed(case.x, case.layout) for case in cases]
            partials = [functions["partial_statistics"](x) for x in inputs]
            outcomes, saved, handed = [], [], []
            for case, x in zip(cases, inputs, strict=True):
                kept = [self._placed(getattr(case, name)) for name in names]
                handed.append({"x": x, "weight": kept[0], "bias": kept[1]})
                momentum = own_momentum(case, self.claims.dialect)
                found = functions["forward_merged"](x, *kept, deepcopy(partials), momentum=momentum, eps=case.eps)
                y, *new, state = _values(found, ("y", *_STATISTICS, "saved"), "forward_merged")
                moved = [old if one is None else one for old, one in zip(kept[2:], new, strict=True)]
                saved.append(state)
                mean, var = map(arrays.to_numpy, moved, _STATISTICS)
                outcomes.append(Outcome(arrays.to_numpy(y, "y"), mean, var))
            if cases[0].dy is None:
                return self._with_inputs(outcomes, handed)
            given = [self._placed(case.dy, case.dy_layout) for case in cases]
            sums = [functions["partial_gradients"](dy, state) for dy, state in zip(given, saved, strict=True)]
            for i, (dy, state) in enumerate(zip(given, saved, strict=True)):
                handed[i]["dy"] = dy
                found = _values(functions["backward_merged"](dy, state, deepcopy(sums)), _GRADIENTS, "backward_merged")
                dx, dweight, dbias = map(arrays.to_numpy, found, _GRADIENTS)
                outcomes[i] = replace(
                    outcomes[i],
                    dx=dx,
                    dweight=None if cases[i].weight is None else dweight,
                    dbias=None if cases[i].bias is None else dbias,
                )
            return self._with_inputs(outcomes, handed)

    def _with_inputs(self, outcomes: list[Outcome], handed: list[dict[str, Any]]) -> list[Outcome]:
        """The outcomes with what each device was given, as it is now."""
        pairs = zip(outcomes, handed, strict=True)
        return [replace(outcome, inputs_after=self._after(given)) for outcome, given in pairs]

    def _placed(self, array: AnyArray | None, layout: Layout = "contiguous") -> Any:
        return None if array is None else self._arrays.place(array, layout).array

    def _given(self, case: Case) -> dict[str, Any]:
        """x, the parameters, and ddx, laid out as x, ddweight and ddbias, which are there beside a parameter."""
        given = {"x": case.x, "weight": case.weight, "bias": case.bias}
        given |= {f"d{name}": vector for name, vector in case.cotangents.items()}
        as_x = ("x", "ddx")
        placed = {k: self._placed(one, case.layout if k in as_x else "contiguous") for k, one in given.items()}
        return {name: one for name, one in placed.items() if one is not None}

    def _after(self, given: Mapping[str, Any]) -> dict[str, AnyArray]:
        after = {name: self._arrays.to_numpy(array, name) for name, array in given.items()}
        return {name: array for name, array in after.items() if array is not None}


def _of(given: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Those that are given, and None for the others."""
    return tuple(given.get(name) for name in names)


class _FunctionsLayer:
    """Parameters and statistics for the functions of a file, kept between calls as a caller would keep them."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], claims: Claims, arrays: Arrays, case: Case) -> None:
        self._functions = functions
        self._claims = claims
        self._arrays = arrays
        with arrays.settings(case):
            self._placed = self._place(case, ("weight", "bias"), case.parameters_layout)
            statistics = self._place(case, _STATISTICS, case.statistics_layout)
        self._parameters = {name: one.array for name, one in self._placed.items()}
        self._state = {name: one.array for name, one in statistics.items()}
        self._momentum = own_momentum(case, claims.dialect)

    def _place(self, case: Case, names: tuple[str, ...], layout: Layout) -> dict[str, InMemory]:
        given = {name: getattr(case, name) for name in names}
        return {name: self._arrays.place(array, layout) for name, array in given.items() if array is not None}

    def restart(self, case: Case) -> None:
        """See :class:`~bnconform_adapters.contract.Restartable`: the storage stays, its contents change."""
        with self._arrays.settings(case):
            for kept in (self._parameters, self._state):
                for name, array in kept.items():
                    kept[name] = self._arrays.written(array, getattr(case, name))

    def __call__(self, case: Case) -> Finish:
        """See :class:`~bnconform_adapters.contract.Layer`."""
        with self._arrays.settings(case):
            return self._forward(case)

    def _forward(self, case: Case) -> Finish:
        arrays, placed = self._arrays, dict(self._placed)
        placed["x"] = arrays.place(case.x, case.layout)
        given = {"x": placed["x"].array, **self._parameters}
        handed = {name: arrays.handed(array, read_only=case.read_only) for name, array in given.items()}
        x, weight, bias = (handed.get(name) for name in ("x", "weight", "bias"))
        state = dict(self._state)  # to be left alone, unless updated in place
        mean, var = (state.get(name) for name in _STATISTICS)
        results: dict[str, Any] = {}
        saved: Any = None
        if case.training:
            found = self._functions["forward_training"](
                x, weight, bias, mean, var, momentum=self._momentum, eps=case.eps
            )
            y, *new, saved = _values(found, ("y", *_STATISTICS, "saved"), "forward_training")
            for name, array in zip(_STATISTICS, new, strict=True):
                if array is not None:
                    self._state[name] = array
            results = {name: array for name, array in self._state.items() if array is not state.get(name)}
            state = {name: array for name, array in state.items() if name in results}
        else:
            y = self._functions["forward_inference"](x, weight, bias, mean, var, eps=case.eps)
        results["y"] = y
        kept: dict[str, Any] = {name: arrays.to_numpy(array, name) for name, array in {**self._state, "y": y}.items()}

        def backward() -> None:
            assert case.dy is not None
            placed["dy"] = arrays.place(case.dy, case.dy_layout)
            given["dy"] = placed["dy"].array
            dy = arrays.handed(given["dy"], read_only=case.read_only)
            if case.training:
                name, found = "backward", self._functions["backward"](dy, saved)
            else:
                name = "backward_inference"
                found = self._functions[name](dy, x, weight, mean, var, eps=case.eps)
            results.update(zip(_GRADIENTS, _values(found, _GRADIENTS, name), strict=True))

        def finish() -> Outcome:
            with arrays.settings(case):
                if case.dy is not None and ("training" if case.training else "inference") in self._claims.gradients:
                    backward()
                gradients: dict[str, Any] = {name: arrays.to_numpy(results.get(name), name) for name in _GRADIENTS}
                if weight is None:
                    gradients["dweight"] = None
                if bias is None:
                    gradients["dbias"] = None
                inputs = given | state
                after = {name: arrays.to_numpy(array, name) for name, array in inputs.items()}
                return Outcome(
                    **kept,
                    **gradients,
                    inputs_after={name: array for name, array in after.items() if array is not None},
                    shared=arrays.shared(results, inputs),
                    overrun=tuple(name for name, one in placed.items() if one.overrun()),
                )

        return finish


def _values(found: Any, names: tuple[str, ...], function: str) -> tuple[Any, ...]:
    """What a function returned, one value for each name.

    Raises
    ------
    TypeError
        It returned something else.
    """
    if not isinstance(found, tuple | list) or len(found) != len(names):
        shown = f"{len(found)} values" if isinstance(found, tuple | list) else f"a {type(found).__name__}"
        raise TypeError(f"{function} returned {shown}; the contract asks for {', '.join(names)}")
    return tuple(found)
