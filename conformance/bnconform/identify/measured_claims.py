"""Measure the claims of a candidate file, and write them into it.

What a probe takes is compared with the oracle: it is not enough that nothing was raised.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np

from bnconform.cases.fixed_cases import CHANNELS
from bnconform.cases.recipe import GRADIENTS
from bnconform.identify.identity import identify
from bnconform.judging.comparison import compare
from bnconform.judging.oracle import expect
from bnconform_adapters.calls import run
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.claims import Claims, Layout, Mode, Parameters, with_entries, with_values
from bnconform_adapters.contract import DTYPES, Adapter, AnyArray, Case, Outcome, parameter_dtype
from bnconform_reference.channel_axes import from_channel_rows
from bnconform_reference.double_double import high
from bnconform_reference.precision import DtypeName

SPREAD = 2.0**-7
"""Deviation of the values from their mean where eps is measured: about the root of the usual eps."""
SAMPLES = 64
"""Samples of a probe: enough that sums in a half type are seen."""
OLD = (3.0, -2.0, 0.5)
"""Running mean before a probe."""
OUTPUTS = ("y", "dx", "dweight", "dbias")
_Assignment: TypeAlias = ast.Assign | ast.AugAssign | ast.AnnAssign
FIELDS = ("modes", "gradients", "ranks", "dtypes", "parameters", "fixed_eps", "fixed_momentum")


def measured_claims(adapter: Adapter) -> dict[str, Any]:
    """Return the entries of CLAIMS that differ from what the adapter of a file claims; empty if no probe returned.

    While this runs, the adapter claims what was measured.
    """
    changed: Any = adapter
    given = adapter.claims
    try:
        return dict(_measured(changed))
    finally:
        changed.claims = given


def explains(adapter: Adapter, conventions: dict[str, Any], case: Case) -> bool:
    """Return True if a result that is wrong by an adapter's claims is right with other conventions."""
    if not case.values_per_channel or case.momentum is None:
        return False
    outcome = run(adapter, case)
    outputs = {name: getattr(outcome, name) for name in (*OUTPUTS, "running_mean", "running_var")}
    found = {name: one for name, one in outputs.items() if one is not None}
    own, new = adapter.claims, with_entries(adapter.claims, conventions)
    turned = new.dialect.momentum_weighs != own.dialect.momentum_weighs  # the number then means the other weight
    momentum = 1.0 - case.momentum if turned else case.momentum
    other = replace(case, eps=new.fixed_eps or case.eps, momentum=new.fixed_momentum or momentum)
    return not _as_expected(own, case, found) and _as_expected(new, other, found)


def write_claims(path: Path, found: dict[str, Any]) -> str:
    """Put entries into a file's CLAIMS; return the line that was written.

    A dict of literals at the top level is replaced by one with the new entries; otherwise a line is added at the end.
    """
    text = path.read_text()
    lines = text.splitlines()
    own = [node for node in ast.parse(text).body if isinstance(node, _Assignment) and _assigns_claims(node)]
    try:
        (only,) = own
        line = f"CLAIMS = {ast.literal_eval(only.value or '{}') | found!r}"
        lines[only.lineno - 1 : only.end_lineno] = [line]
    except (ValueError, TypeError):  # none, several, or one that is computed
        line = f"CLAIMS {'|=' if own else '='} {found!r}"
        lines += ["", line]
    path.write_text("\n".join([*lines, ""]))
    return line


def _assigns_claims(node: _Assignment) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Name) and one.id == "CLAIMS" for target in targets for one in ast.walk(target))


def _measured(adapter: Any) -> Iterator[tuple[str, Any]]:
    given: Claims = adapter.claims
    mode: Mode = "training" if "training" in given.modes else "inference"
    tried = (_case(given, mode, rank, dtype) for dtype in DTYPES_TRIED for rank in RANKS_TRIED)
    start = next((case for case in tried if _returned(adapter, case)), None)
    if start is None:
        return
    rank, dtype = start.x.ndim, start.dtype
    if _is_affine_always(adapter, rank, dtype):
        mode = "inference"
        adapter.claims = with_values(given, {"modes": ("inference",), "gradients": ("inference",)})
    adapter.claims = claims = with_values(adapter.claims, _fixed(adapter, mode, rank, dtype))
    parameters = [p for p in get_args(Parameters) if _taken(adapter, _case(claims, mode, rank, dtype, p))]
    takes = {
        "ranks": [one for one in RANKS if _taken(adapter, _case(claims, mode, one, dtype))],
        "dtypes": [
            one
            for one in DTYPES_TRIED
            if all(_taken(adapter, _case(claims, mode, rank, one), layout) for layout in claims.usable_layouts(rank))
        ],
        "parameters": [one for one in parameters if one in given.parameters],
    }
    adapter.claims = claims = with_values(claims, {name: values for name, values in takes.items() if values})
    for name in FIELDS:
        value, before = getattr(claims, name), getattr(given, name)
        if isinstance(value, tuple):
            if set(value) != set(before):
                yield name, list(value)
        elif value != before:
            yield name, value
    identity = identify(adapter)
    stated = identity.stated()
    if claims.fixed_eps is not None:
        stated.pop("eps_min", None)
    if mode == "training":
        stated |= _edges(adapter, [_case(claims, mode, one, dtype) for one in claims.ranks])
        if identity.answer("empty batch").value not in ("keeps", "raises", ""):
            stated["empty_batches"] = False
        if stated.get("empty_batches") is False:
            stated.pop("empty_batch", None)
    if claims.checks_arguments and not _checks(adapter, _case(claims, mode, rank, dtype)):
        stated["checks_arguments"] = False
    yield from stated.items()


DTYPES_TRIED: tuple[DtypeName, ...] = ("float32", "float64", "float16", "bfloat16")
RANKS_TRIED = (4, 2, 3, 5)


def _case(
    claims: Claims, mode: Mode, rank: int, dtype: DtypeName, parameters: Parameters | None = None, spread: float = 1.0
) -> Case:
    """Return a call whose channels have mean 0 and a deviation of `spread`."""
    parameters, wide = parameters or claims.parameters[0], DTYPES[parameter_dtype(dtype)]
    shape = (SAMPLES, CHANNELS, *(2, 1, 1)[: rank - 2])
    n = SAMPLES * int(np.prod(shape[2:]))
    rows = np.repeat([[-spread] * (n // 2) + [spread] * (n // 2)], CHANNELS, axis=0)

    def vector(*values: float) -> AnyArray:
        return np.array(values, wide)

    return Case(
        x=from_channel_rows(rows, shape).astype(DTYPES[dtype]),
        dy=from_channel_rows(np.cos(np.arange(rows.size)).reshape(rows.shape), shape).astype(DTYPES[dtype])
        if mode in claims.gradients
        else None,
        wanted=GRADIENTS if claims.parameter_gradients else "dx",
        weight=vector(1.5, -0.5, 2.0) if parameters in ("both", "weight") else None,
        bias=vector(0.5, 1.0, -1.0) if parameters in ("both", "bias") else None,
        running_mean=vector(*OLD) if claims.tracked else None,
        running_var=vector(2.0, 0.75, 3.0) if claims.tracked else None,
        training=mode == "training",
        momentum=claims.usable_momenta((0.25,))[0],
        eps=claims.usable_eps((1e-5,))[0],
    )


def _returned(adapter: Adapter, case: Case) -> Outcome | None:
    """Return the outcome if y has x's shape and dtype, else None."""
    outcome = run(adapter, case)
    if outcome.error is not None or outcome.y is None:
        return None
    return outcome if (outcome.y.shape, outcome.y.dtype) == (case.x.shape, case.x.dtype) else None


def _taken(adapter: Adapter, case: Case, layout: Layout = "contiguous") -> bool:
    """Return True if y is within the loosest bound of the oracle's, and the statistics have the parameters' dtype."""
    case = replace(case, layout=layout, dy_layout=layout)
    outcome, wide = _returned(adapter, case), DTYPES[parameter_dtype(case.dtype)]
    if outcome is None or outcome.y is None:
        return False
    statistics = (outcome.running_mean, outcome.running_var)
    if case.training and any(one is not None and one.dtype != wide for one in statistics):
        return False
    return _as_expected(adapter.claims, case, {name: getattr(outcome, name) for name in OUTPUTS})


def _as_expected(claims: Claims, case: Case, found: Mapping[str, AnyArray | None]) -> bool:
    """Return True if all outputs in `found` that the oracle gives for the case are within its loosest bounds."""
    due = expect(case, replace(claims, grade="NU"))
    return all(
        one is not None and one.shape == high(due[name].value).shape and (compare(one, due[name]).ratio <= 1).all()
        for name, one in found.items()
        if name in due
    )


def _fixed(adapter: Adapter, mode: Mode, rank: int, dtype: DtypeName) -> dict[str, Any]:
    """Measure eps and the weight of the new batch, if a caller does not choose them."""
    claims, found = adapter.claims, dict[str, float]()
    case = _case(claims, mode, rank, dtype, spread=SPREAD)
    outcome = _returned(adapter, case)
    if outcome is None or outcome.y is None or mode != "training":
        return found
    if claims.fixed_eps is not None:
        weight = 1.0 if case.weight is None else float(case.weight[0])
        bias = 0.0 if case.bias is None else float(case.bias[0])
        xhat = np.abs(outcome.y[:, 0].astype(np.float64) - bias).max() / weight
        found["fixed_eps"] = (SPREAD / xhat) ** 2 - SPREAD**2
    if claims.fixed_momentum is not None and outcome.running_mean is not None:
        found["fixed_momentum"] = 1.0 - float(outcome.running_mean[0]) / OLD[0]
    return {name: float(f"{value:.2g}") for name, value in found.items() if 0 < value <= 1}


def _is_affine_always(adapter: Any, rank: int, dtype: DtypeName) -> bool:
    """Return True if a layer normalizes by its running statistics in training too, as a frozen one does."""
    claims: Claims = adapter.claims
    if set(claims.modes) != {"training", "inference"}:
        return False
    training = _case(claims, "training", rank, dtype)
    outcome = _returned(adapter, training)
    if outcome is None or outcome.y is None or _taken(adapter, training):
        return False
    return _as_expected(claims, replace(training, training=False, dy=None), {"y": outcome.y})


def _edges(adapter: Adapter, cases: list[Case]) -> dict[str, Any]:
    """Return what a layer does on one value, if its statistics do not tell, and on none, if ranks differ in it."""
    claims, found = adapter.claims, dict[str, Any]()
    empty = [replace(case, x=case.x[:0], dy=None) for case in cases]
    empty += [replace(case, x=case.x[..., :0], dy=None) for case in cases if case.x.ndim > 2]
    nothing = {run(adapter, case).error is None for case in empty}
    if len(nothing) > 1:
        found["empty_batches"] = False
    if not claims.tracked:
        one = cases[0].x[:1, :, *(slice(1),) * (cases[0].x.ndim - 2)]
        if _returned(adapter, replace(cases[0], x=one, dy=None)):
            found["one_value"] = "zero_variance"
        if nothing == {False}:
            found["empty_batch"] = "raises"
    return found


def _checks(adapter: Adapter, case: Case) -> bool:
    """Return True if a weight of another length raises, and a negative eps if a caller chooses it."""
    wrong = [] if case.weight is None else [replace(case, weight=case.weight[:-1])]
    wrong += [replace(case, eps=-1.0)] if adapter.claims.any_eps else []
    return all(run(adapter, one).error is not None for one in wrong)
