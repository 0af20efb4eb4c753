"""What a call has to give back: which outputs its case asks for, and their shapes."""

from __future__ import annotations

from bnconform_adapters.claims import Claims
from bnconform_adapters.contract import Case, Outcome

STATISTICS = ("running_mean", "running_var")
GRADIENTS = ("dx", "dweight", "dbias")


def due_shape(case: Case, name: str) -> tuple[int, ...] | None:
    """The shape that an output has to have; None where it belongs to nothing that is there, or the call must raise."""
    vectors = (case.weight, case.bias, case.running_mean, case.running_var)
    wrong = case.x.ndim < 2 or (case.dy is not None and case.dy.shape != case.x.shape)
    if wrong or any(vector is not None and vector.shape != case.x.shape[1:2] for vector in vectors):
        return None
    if name in ("y", "dx"):
        return case.x.shape
    belongs = getattr(case, name.removeprefix("d"))
    return None if belongs is None else case.x.shape[1:2]


def missing_output(case: Case, outcome: Outcome, claims: Claims) -> str | None:
    """The first output that the case asks for and that is None; None where all are there.

    A training step has to give the statistics that it was given, and a case with a dy the gradients that are `wanted`
    in a mode that has any. Inference may keep its statistics to itself: the laws about them ask for more.
    """
    due = ["y", *(STATISTICS if case.training else ())]
    if case.dy is not None and ("training" if case.training else "inference") in claims.gradients:
        due += [name for name in GRADIENTS if name in case.wanted.split()]
    return next((name for name in due if getattr(outcome, name) is None and due_shape(case, name) is not None), None)


def missing_derivative(case: Case, outcome: Outcome) -> str | None:
    """The first second-order gradient that is None; None where all are there."""
    due = ("ddy", "dx", "dweight") if case.weight is not None else ("ddy", "dx")
    return next((name for name in due if getattr(outcome, name) is None), None)
