"""The grade of arithmetic on badly conditioned and long channels, and the dtypes of results of half x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bnconform.cases.build import build, ratios
from bnconform.cases.recipe import Recipe
from bnconform.cases.shapes import with_values
from bnconform.identify.answers import Answer
from bnconform.identify.probe import Probe, Unanswered, got, trouble
from bnconform.judging.comparison import compare
from bnconform.judging.judge import GRADIENTS, STATISTICS
from bnconform.judging.oracle import expect_at
from bnconform_adapters.contract import DTYPES, Case, parameter_dtype
from bnconform_reference.dialect import Dialect
from bnconform_reference.double_double import Array
from bnconform_reference.precision import GRADES, Grade

LENGTHS = (5, 33, 1025)
VALUES = ("normal", "sorted", "outlier", "two_valued")


@dataclass(frozen=True)
class Worst:
    """The worst error at a grade, as a multiple of the allowed error, and its probe."""

    ratio: float = 0.0
    quantity: str = ""
    case: str = ""


LAST = GRADES[-1]


def _cases(probe: Probe) -> list[Case]:
    claims = probe.claims
    rank = min(claims.ranks)
    interpreted, layout = claims.cost != "cheap", claims.plain_layout(rank)
    recipes = [
        Recipe(
            shape=with_values(rank, n, 2),
            dtype=probe.dtype,
            parameters="both" if "both" in claims.parameters else claims.parameters[0],
            values=values,
            ratio=ratio,
            dy="random" if "training" in claims.gradients else "absent",
            eps=claims.usable_eps((Recipe.eps,))[0],
            layout=layout,
            dy_layout=layout,
        )
        for n in (LENGTHS[::2] if interpreted else LENGTHS)
        for ratio in ratios(probe.dtype)
        for values in VALUES
    ]
    return [build(recipe) for recipe in recipes]


def sweep(probe: Probe, dialect: Dialect, weigh: float) -> Mapping[Grade, Worst]:
    """Worst errors at every grade over a sweep of |mean| / sd up to 1e6.

    Parameters
    ----------
    dialect : Dialect
        The dialect by which the statistics are judged.
    weigh : float
        Weight of the new batch if the momentum is 0.1.

    Raises
    ------
    Unanswered
        A call raised or did not come back.
    """
    probe.need("training")
    found = dict.fromkeys(GRADES, Worst())
    for case in _cases(probe):
        outcome = probe.run(case)[0]
        judged = replace(case, momentum=weigh)
        for grade, expected in expect_at(GRADES, judged, replace(probe.claims, dialect=dialect)).items():
            for name, quantity in expected.items():
                ratios = compare(got(outcome, name, case), quantity).ratio
                found[grade] = _worse(found[grade], ratios, name, case)
    return found


def _worse(worst: Worst, ratios: Array, name: str, case: Case) -> Worst:
    ratio = float(ratios.max())
    return Worst(ratio, name, case.origin) if ratio > worst.ratio else worst


def grade(probe: Probe, dialect: Dialect, weight: float) -> Answer:
    """The finest grade that holds over the sweep."""
    worst = sweep(probe, dialect, weight)
    held = [name for name in GRADES if worst[name].ratio <= 1.0]
    claimed = probe.claims.grade
    finest = held[0] if held else None
    told = ", ".join(f"{name} {worst[name].ratio:.3g}" for name in GRADES)
    at = worst[claimed]
    evidence = f"worst error of the allowed, by grade: {told}"
    if finest is None or claimed not in held:
        evidence += f"; at {claimed} it is {at.quantity} on {at.case}"
    value = finest or f"none holds: {worst[LAST].ratio:.3g} times what {LAST} allows"
    return Answer(
        "grade of arithmetic",
        value,
        evidence,
        claimed=claimed,
        agrees=claimed in held,
        stated={"grade": finest} if finest is not None and claimed not in held else None,
        laws=("N1",),
    )


def dtypes_beside_half(probe: Probe) -> list[Answer]:
    """The dtypes of the results for half x."""
    halves = [dtype for dtype in ("float16", "bfloat16") if dtype in probe.claims.dtypes]
    if not halves:
        raise Unanswered("it takes no half types")
    training = "training" in probe.claims.modes
    found: dict[str, dict[str, str]] = {"y": {}, "statistics": {}, "gradients": {}}
    for dtype in halves:
        rows = np.array([[-0.5, 1.0], [1.0, 4.0], [2.0, 2.5]])
        case = probe.case(rows, dtype=dtype, training=training)
        if ("training" if training else "inference") in probe.claims.gradients:
            case = replace(case, dy=np.ones_like(case.x))
        outcome = probe.attempt(case)[0]
        if outcome.error is not None:
            found["y"][dtype] = trouble(outcome)
            continue
        groups = {"y": ("y",), "statistics": STATISTICS, "gradients": GRADIENTS}
        for group, names in groups.items():
            arrays = {name: getattr(outcome, name) for name in names}
            kinds = {name: array.dtype.name for name, array in arrays.items() if array is not None}
            if kinds:
                same = len(set(kinds.values())) == 1
                told = next(iter(kinds.values())) if same else ", ".join(f"{k} {v}" for k, v in kinds.items())
                found[group][dtype] = told
    return [_dtype_answer(group, by_dtype) for group, by_dtype in found.items()]


def _dtype_answer(group: str, by_dtype: dict[str, str]) -> Answer:
    wide = {dtype: DTYPES[parameter_dtype(dtype)].name for dtype in by_dtype}  # type: ignore[arg-type]
    kept = {
        "y": {dtype: dtype for dtype in by_dtype},
        "statistics": wide,
        "gradients": {d: f"dx {d}, dweight {wide[d]}, dbias {wide[d]}" for d in by_dtype},
    }[group]
    claimed = {"y": "as x", "statistics": "float32", "gradients": "dx as x, the others float32"}[group]
    field = f"dtype of {group} for half x"
    if not by_dtype:
        return Answer(field, "", "it gives none", "not measurable")
    agrees = by_dtype == kept
    told = "; ".join(f"{dtype}: {what}" for dtype, what in by_dtype.items())
    return Answer(field, claimed if agrees else told, told, claimed=claimed, agrees=agrees, laws=("F5",))
