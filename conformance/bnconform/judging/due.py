"""Outputs that a call must return: which ones its case asks for, and their shapes."""

from __future__ import annotations

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case, Outcome

STATISTICS = ("running_mean", "running_var")
GRADIENTS = ("dx", "dweight", "dbias")


def due_shape(case: Case, name: str) -> tuple[int, ...] | None:
    """Return the shape that an output must have; None if its input is absent or the call must raise."""
    vectors = (case.weight, case.bias, case.running_mean, case.running_var)
    wrong = case.x.ndim < 2 or (case.dy is not None and case.dy.shape != case.x.shape)
    if wrong or any(vector is not None and vector.shape != case.x.shape[1:2] for vector in vectors):
        return None
    if name in ("y", "dx"):
        return case.x.shape
    belongs = getattr(case, name.removeprefix("d"))
    return None if belongs is None else case.x.shape[1:2]


def missing_output(case: Case, outcome: Outcome, claims: Claims) -> str | None:
    """Return the name of the first requested output that is None; None if all are present.

    A training step must return the statistics that it was given. A case with a dy must return the `wanted` gradients
    in a mode that has gradients. Inference need not return statistics here: the laws about them ask for more.
    """
    due = ["y", *(STATISTICS if case.training else ())]
    if case.dy is not None and ("training" if case.training else "inference") in claims.gradients:
        due += [name for name in GRADIENTS if name in case.wanted.split()]
    return next((name for name in due if getattr(outcome, name) is None and due_shape(case, name) is not None), None)


def missing_derivative(case: Case, outcome: Outcome) -> str | None:
    """Return the name of the first second-order gradient that is None; None if all are present."""
    due = ("ddy", "dx", "dweight") if case.weight is not None else ("ddy", "dx")
    return next((name for name in due if getattr(outcome, name) is None), None)
