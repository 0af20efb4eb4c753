"""Other people's kernels: a Python file that offers batch norm as functions, on NumPy arrays.

The file need not import this project. It offers, with channels on axis 1, any of::

    forward_training(x, weight, bias, running_mean, running_var, *, momentum, eps)
        -> y, running_mean, running_var, saved
    forward_inference(x, weight, bias, running_mean, running_var, *, eps) -> y
    backward(dy, saved) -> dx, dweight, dbias
    backward_inference(dy, x, weight, running_mean, running_var, *, eps) -> dx, dweight, dbias
    double_backward(ddx, ddweight, ddbias, dy, saved) -> ddy, dx, dweight
    jvp(x, weight, bias, x_tangent, weight_tangent, bias_tangent, *, eps) -> y_tangent

weight and bias may be None. Running statistics come back as new arrays, or as None where the given ones were updated
in place. Parameters and statistics are float32 beside half types and have x's dtype otherwise. What is absent is not
claimed. double_backward gives the gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias), for what
backward(dy, saved) returns, by dy, x and weight; jvp is forward mode of training. Both get None beside a parameter that
is None. ``CLAIMS = {...}`` states what differs from the default claims.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

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
    describe_error,
    with_values,
)
from bnconform_adapters.memory import Placed, place, shared_pairs
from bnconform_reference.dialect import Dialect

FUNCTIONS = ("forward_training", "forward_inference", "backward", "backward_inference", "double_backward", "jvp")
_STATISTICS = ("running_mean", "running_var")
_DERIVED = {"dialect", "modes", "gradients", "second_order", "forward_mode", "cost", "population", "own_process"}
_CLAIMS = {field.name for field in fields(Claims)} - _DERIVED
_DIALECT = {field.name for field in fields(Dialect)}
_RANKS = (2, 3, 4, 5)


def load_candidate(path: Path, name: str | None = None) -> Candidate:
    """Load a candidate from a file, or from an object called `name` in it.

    Raises
    ------
    AdapterError
        The file does not exist, cannot be imported, offers none of the contract's functions, or claims something
        that there is not.
    """
    if not path.is_file():
        raise AdapterError(f"no such file: {path}; pass the path of a Python file")
    module = _import(path)
    offered: Any = module
    if name is not None:
        if not hasattr(module, name):
            raise AdapterError(f"{path} has no {name!r}; pass PATH.py:NAME with a name that the file defines")
        offered = getattr(module, name)
    functions = {f: getattr(offered, f) for f in FUNCTIONS if callable(getattr(offered, f, None))}
    if not {"forward_training", "forward_inference"} & set(functions):
        where = f"{path}:{name}" if name else str(path)
        raise AdapterError(
            f"{where} defines none of batch norm's functions; define forward_training or forward_inference "
            "(and backward, backward_inference), or pass PATH.py:NAME of an object that does"
        )
    stated = getattr(offered, "CLAIMS", getattr(module, "CLAIMS", {}))
    title = f"{path.name}:{name}" if name else path.name
    return Candidate(title, _claims(stated, functions, path), functions)


def _import(path: Path) -> ModuleType:
    unique = f"_bnconform_candidate_{path.stem}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses and pickling look their module up
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may be several files
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends with sys.exit() must not end the run
        raise AdapterError(f"{path} cannot be imported: {describe_error(error)}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _claims(stated: Any, functions: Mapping[str, Any], path: Path) -> Claims:
    if not isinstance(stated, Mapping):
        raise AdapterError(f"CLAIMS in {path} is a {type(stated).__name__}; make it a dict")
    for key in stated:
        if key not in _CLAIMS | _DIALECT:
            close = get_close_matches(str(key), _CLAIMS | _DIALECT, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(_CLAIMS | _DIALECT))}"
            raise AdapterError(f"CLAIMS in {path} has an unknown key {key!r}; {hint}")
    for key, value in stated.items():
        _check_value(key, value, path)
    modes: dict[Mode, str] = {"training": "forward_training", "inference": "forward_inference"}
    gradients: dict[Mode, str] = {"training": "backward", "inference": "backward_inference"}
    dialect = Dialect(cumulative=False)  # the contract has no place for a count of batches
    claims = Claims(
        dialect=replace(dialect, **{k: v for k, v in stated.items() if k in _DIALECT}),
        modes=tuple(mode for mode, f in modes.items() if f in functions),
        gradients=tuple(mode for mode, f in gradients.items() if f in functions),
        second_order=("training",) if {"forward_training", "backward", "double_backward"} <= set(functions) else (),
        forward_mode=("training",) if {"forward_training", "jvp"} <= set(functions) else (),
        strided_statistics=True,
    )
    return with_values(claims, {k: v for k, v in stated.items() if k in _CLAIMS})


def _check_value(key: str, value: Any, path: Path) -> None:
    """Refuse a value that the key's type does not have, where the type lists them."""
    hint = get_type_hints(Claims if key in _CLAIMS else Dialect)[key]
    many = getattr(hint, "__origin__", None) is tuple
    allowed = get_args(get_args(hint)[0]) if many else get_args(hint)
    allowed = _RANKS if key == "ranks" else tuple(a for a in allowed if isinstance(a, str))
    if many and not isinstance(value, list | tuple):
        raise AdapterError(f"CLAIMS in {path} has {key} = {value!r}; make it a list")
    if many and not value:
        raise AdapterError(f"CLAIMS in {path} has {key} = {value!r}; name at least one, or leave {key} out")
    for one in value if many else [value]:
        if allowed and one not in allowed:
            raise AdapterError(f"CLAIMS in {path} has {key} = {one!r}; pass one of {', '.join(map(str, allowed))}")
    if hint is bool and not isinstance(value, bool):
        raise AdapterError(f"CLAIMS in {path} has {key} = {value!r}; pass True or False")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and (hint is float or (float in get_args(hint) and value is not None)):
        raise AdapterError(f"CLAIMS in {path} has {key} = {value!r}; pass a number")


class Candidate:
    """The adapter of a candidate file."""

    def __init__(self, name: str, claims: Claims, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self.claims = claims
        self._functions = functions

    def layer(self, case: Case) -> Layer:
        """See :class:`~bnconform_adapters.contract.Adapter`."""
        return _FunctionsLayer(self._functions, self.claims, case)

    def second_order(self, case: Case) -> Outcome:
        """Gradients of the backward pass, from what forward_training saved."""
        assert case.dy is not None
        x, weight, bias = self._arguments(case)
        statistics = (_copy(case.running_mean), _copy(case.running_var))
        *_, saved = self._functions["forward_training"](
            x, weight, bias, *statistics, momentum=case.momentum, eps=case.eps
        )
        dy = place(case.dy, case.dy_layout).array
        ddy, dx, dweight = self._functions["double_backward"](*self._vectors(case), dy, saved)
        return Outcome(ddy=_copy(ddy), dx=_copy(dx), dweight=None if weight is None else _copy(dweight))

    def jvp(self, case: Case) -> Outcome:
        """The tangent of y in training."""
        found = self._functions["jvp"](*self._arguments(case), *self._vectors(case), eps=case.eps)
        return Outcome(y_tangent=_copy(found))

    def _arguments(self, case: Case) -> tuple[AnyArray | None, ...]:
        return place(case.x, case.layout).array, _array(_place(case.weight)), _array(_place(case.bias))

    def _vectors(self, case: Case) -> tuple[AnyArray | None, ...]:
        """ddx, laid out as x, ddweight and ddbias; None beside an absent parameter."""
        given = case.cotangents
        layouts = {"dx": case.layout}
        return tuple(
            _array(_place(given.get(name), layouts.get(name, "contiguous"))) for name in ("dx", "dweight", "dbias")
        )


class _FunctionsLayer:
    """Parameters and statistics for the functions of a file, kept between calls as a caller would keep them."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], claims: Claims, case: Case) -> None:
        self._functions = functions
        self._claims = claims
        self._parameters = {name: _place(getattr(case, name), case.parameters_layout) for name in ("weight", "bias")}
        self._state = {name: _array(_place(getattr(case, name), case.statistics_layout)) for name in _STATISTICS}
        self._momentum = case.momentum
        if case.momentum is not None and claims.dialect.momentum_weighs == "old":
            self._momentum = 1.0 - case.momentum

    def restart(self, case: Case) -> None:
        """See :class:`~bnconform_adapters.contract.Restartable`: the storage stays, its contents change."""
        arrays = {name: _array(placed) for name, placed in self._parameters.items()} | self._state
        for name, array in arrays.items():
            if array is not None:
                array[...] = getattr(case, name)

    def __call__(self, case: Case) -> Finish:
        """See :class:`~bnconform_adapters.contract.Layer`."""
        placed = {"x": place(case.x, case.layout), **self._parameters}
        x, weight, bias = (_array(placed[name], case.read_only) for name in ("x", "weight", "bias"))
        mean, var = (self._state[name] for name in _STATISTICS)
        given = dict(self._state)  # to be left alone, unless updated in place
        results: dict[str, Any] = {}
        saved: Any = None
        if case.training:
            y, *new, saved = self._functions["forward_training"](
                x, weight, bias, mean, var, momentum=self._momentum, eps=case.eps
            )
            for name, array in zip(_STATISTICS, new, strict=True):
                if array is not None:
                    self._state[name] = array
            results = {name: self._state[name] for name in given if self._state[name] is not given[name]}
            given = {name: given[name] for name in results}
        else:
            y = self._functions["forward_inference"](x, weight, bias, mean, var, eps=case.eps)
        results["y"] = y
        kept = _copy(y), _copy(self._state["running_mean"]), _copy(self._state["running_var"])

        def finish() -> Outcome:
            if case.dy is not None and ("training" if case.training else "inference") in self._claims.gradients:
                placed["dy"] = place(case.dy, case.dy_layout)
                dy = _array(placed["dy"], case.read_only)
                if case.training:
                    found = self._functions["backward"](dy, saved)
                else:
                    found = self._functions["backward_inference"](dy, x, weight, mean, var, eps=case.eps)
                results.update(zip(("dx", "dweight", "dbias"), found, strict=True))
            present = {name: one for name, one in placed.items() if one is not None}
            inputs = {name: one.array for name, one in present.items()} | given
            return Outcome(
                *kept,
                dx=_copy(results.get("dx")),
                dweight=None if weight is None else _copy(results.get("dweight")),
                dbias=None if bias is None else _copy(results.get("dbias")),
                inputs_after={name: array.copy() for name, array in inputs.items() if array is not None},
                shared=shared_pairs(results, inputs),
                overrun=tuple(name for name, one in present.items() if one.overrun()),
            )

        return finish


def _place(array: AnyArray | None, layout: Layout = "contiguous") -> Placed | None:
    return None if array is None else place(array, layout)


def _array(placed: Placed | None, read_only: bool = False) -> AnyArray | None:
    if placed is None or not read_only:
        return None if placed is None else placed.array
    view = placed.array.view()
    view.flags.writeable = False
    return view


def _copy(array: AnyArray | None) -> AnyArray | None:
    if array is None:
        return None
    if not hasattr(array, "copy") or not hasattr(array, "dtype"):
        raise TypeError(f"returned a {type(array).__name__} where the contract asks for a NumPy array")
    return array.copy()
