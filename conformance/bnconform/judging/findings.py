"""Findings: a broken law as a value, and as a text that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isinf, isnan
from typing import Any

import numpy as np

from bnconform.judging.evidence import Evidence
from bnconform.requirements import BY_ID
from bnconform_adapters.contract import AnyArray, Case

SHOWN = 12
"""Arrays of up to this many elements are printed whole."""


@dataclass(frozen=True)
class Finding:
    """One requirement broken by one implementation on one case.

    Attributes
    ----------
    requirement, implementation : str
    quantity : str
        Name of the wrong output: "y", "running_var", "dx", ...
    problem : str
        Problem with the output, in one line.
    index : tuple of int or None
        Index of the worst element.
    got, expected, allowed : float or None
        Values at that index, if the problem is a wrong value.
    ratio, ulp : float
        |got - expected| as a multiple of the allowed error, and in units in the last place of the output's dtype.
    mode : str
        "training" or "inference": mode of the wrong call; empty if not known.
    call : tuple of str
        Differences of that call from the drawn steps, as lines; see :mod:`bnconform.judging.difference`.
    marks : tuple of str
        Remark on each of several steps, such as "was accepted, and must be refused"; an empty text for no remark.
    """

    requirement: str
    implementation: str
    quantity: str
    problem: str
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    allowed: float | None = None
    ratio: float = float("inf")
    ulp: float = float("inf")
    mode: str = ""
    call: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Finding:
        """Read a finding of a record, where tuples are lists; an older finding has fewer fields."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)


class Broken(AssertionError):
    """A law is broken; carries the finding, the steps that led to it, and the calls that were made."""

    def __init__(self, finding: Finding, steps: tuple[Case, ...], evidence: Evidence | None = None) -> None:
        super().__init__(f"{finding.requirement}: {finding.quantity} {finding.problem}")
        self.finding = finding
        self.steps = steps
        self.evidence = evidence


_SHORT = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}


def signature(array: AnyArray) -> str:
    """Return an array's dtype and shape, as in ``f32[2,3]``."""
    return f"{_SHORT.get(array.dtype.name, array.dtype.name)}[{','.join(map(str, array.shape))}]"


def show(array: AnyArray) -> str:
    """Describe an array: dtype and shape, then the values if they are few, else their range."""
    head = signature(array)
    if array.size == 0:
        return head
    wide = array.astype(np.float64)
    if array.size <= SHOWN:
        return f"{head} {_nested(wide.tolist())}"
    return f"{head} from {number(float(np.min(wide)))} to {number(float(np.max(wide)))}"


def _nested(values: object) -> str:
    if isinstance(values, list):
        return "[" + ", ".join(_nested(value) for value in values) + "]"
    assert isinstance(values, float)
    return number(values)


def number(value: float) -> str:
    """Return a number in 9 significant digits, which distinguish all float32 numbers."""
    return f"{value:.9g}"


_BEFORE = {"nothing": "", "load": "these parameters and statistics are loaded, then ", "reset": "reset, then "}


def describe_case(case: Case) -> list[str]:
    """Describe a case as lines: mode and scalars, then its arrays."""
    mode = _BEFORE[case.before] + ("training" if case.training else "inference")
    scalars = f"eps {number(case.eps)}"
    if case.training:
        scalars += f", momentum {'None' if case.momentum is None else number(case.momentum)}"
    lines = [f"case      {signature(case.x)} {mode}, {scalars}"]
    if case.layout != "contiguous" or case.dy_layout != "contiguous":
        lines.append(f"memory    x {case.layout}" + (f", dy {case.dy_layout}" if case.dy is not None else ""))
    for name in ("x", "dy", "weight", "bias", "running_mean", "running_var", "ddx", "ddweight", "ddbias"):
        array = getattr(case, name)
        if array is not None:
            lines.append(f"{name:<9} {show(array)}" if len(name) < 10 else f"{name} {show(array)}")
    return lines


def other_memory(case: Case, shown: Sequence[Case]) -> str:
    """Describe the layouts of `case` that no case in `shown` has, as in "weight and bias sliced"; empty if none."""
    laid_out = {
        "x": ("layout", True),
        "dy": ("dy_layout", case.dy is not None),
        "weight and bias": ("parameters_layout", case.weight is not None or case.bias is not None),
        "running statistics": ("statistics_layout", case.running_mean is not None),
    }
    return ", ".join(
        f"{name} {getattr(case, field)}"
        for name, (field, present) in laid_out.items()
        if present and all(getattr(case, field) != getattr(one, field) for one in shown)
    )


def brief(case: Case) -> str:
    """Describe a case's dtypes and shapes, mode and eps in one line."""
    arrays = {name: getattr(case, name) for name in ("x", "dy", "weight", "bias", "running_mean", "running_var")}
    given = [f"{name} {signature(array)}" for name, array in arrays.items() if array is not None]
    return ", ".join([*given, "training" if case.training else "inference", f"eps {number(case.eps)}"])


def describe_steps(steps: tuple[Case, ...], marks: Sequence[str] = ()) -> list[str]:
    """Describe the calls of one layer as lines; only calls that set parameters and statistics show them.

    `marks` are the remarks of a finding.
    """
    if len(steps) == 1:
        return describe_case(steps[0])
    lines = [f"case      {len(steps)} calls of one layer"]
    for i, case in enumerate(steps, 1):
        described = describe_case(case)
        if i > 1 and case.before != "load":
            described = [described[0], *(text for text in described if text[:2] == "x ")]
        mark = f": {marks[i - 1]}" if i <= len(marks) and marks[i - 1] else ""
        lines += [f"call {i}    {described[0][10:]}{mark}", *(f"  {line}" for line in described[1:])]
    return lines


def describe_error(got: float, expected: float, ratio: float, ulp: float) -> str:
    """Describe the error of a value relative to the allowed error; in words if the error is not finite."""
    if isnan(got):
        return "got is not a number"
    if not isfinite(expected):
        return "got is finite, which it must not be"
    if isinf(got):
        return "got is infinite"
    if isinf(ratio):
        return f"the error is {ulp:.3g} ulp, and none is allowed"
    return f"the error is {ratio:.4g} times that ({ulp:.3g} ulp)"


def explain(finding: Finding, steps: tuple[Case, ...], again: str) -> str:
    """Return the whole message: law, implementation, case, got and expected, how to run the case again."""
    lines = [f"{finding.requirement} broken by {finding.implementation}: {BY_ID[finding.requirement].statement}"]
    lines += [f"  {line}" for line in (*describe_steps(steps, finding.marks), *finding.call)]
    lines.append(f"  {finding.quantity:<9} {finding.problem}")
    if finding.got is not None and finding.expected is not None and finding.allowed is not None:
        where = "" if finding.index is None else f" at {list(finding.index)}"
        lines.append(f"  got       {number(finding.got)}{where}")
        lines.append(f"  expected  {number(finding.expected)}")
        error = describe_error(finding.got, finding.expected, finding.ratio, finding.ulp)
        lines.append(f"  allowed   {finding.allowed:.3g}; {error}")
    if origin := steps[0].origin:
        lines.append(f"  made by   {origin}")
    return "\n".join([*lines, f"  again     {again}"])
