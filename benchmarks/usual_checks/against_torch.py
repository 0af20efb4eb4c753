"""What PyTorch gives for a sequence of calls, and whether an implementation gives the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import batch_norm

from bnconform_adapters.calls import run_steps
from bnconform_adapters.contract import Adapter, Case, Outcome

Same = Callable[[torch.Tensor, torch.Tensor], bool]
"""Whether what came out is near enough to what PyTorch gives, in this order."""

RAISED = "raises"


@dataclass
class Running:
    """Statistics that a layer of PyTorch keeps; None where it keeps none."""

    mean: torch.Tensor | None
    var: torch.Tensor | None


def dtype_for(adapter: Adapter) -> torch.dtype:
    """float32, or float64 for what takes no float32."""
    return torch.float32 if "float32" in adapter.claims.dtypes else torch.float64


def expected(case: Case, running: Running, *, biased: bool) -> dict[str, torch.Tensor]:
    """Outputs of a call of :func:`torch.nn.functional.batch_norm`, by the Outcome's names.

    Parameters
    ----------
    case : Case
    running : Running
        Where the call's statistics come from, and go to.
    biased : bool
        Whether the implementation declares that it stores the biased variance: whoever tests it knows that.
    """
    x, weight, bias = (_leaf(case.x), _leaf(case.weight), _leaf(case.bias))
    before = None if running.var is None else running.var.clone()
    y = batch_norm(x, running.mean, running.var, weight, bias, case.training, case.momentum, case.eps)
    found = {"y": y.detach()}
    if case.training and running.mean is not None and running.var is not None:
        if biased and before is not None:
            n, kept = case.values_per_channel, (1 - case.momentum) * before
            running.var = kept + (running.var - kept) * ((n - 1) / n)
        found |= {"running_mean": running.mean.clone(), "running_var": running.var.clone()}
    if case.dy is not None:
        y.backward(torch.from_numpy(case.dy.copy()))
        leaves = {"dx": x, "dweight": weight, "dbias": bias}
        found |= {name: leaf.grad for name, leaf in leaves.items() if leaf is not None and leaf.grad is not None}
    return found


def first_difference(adapter: Adapter, cases: Sequence[Case], same: Same, only: Sequence[str] = ()) -> str:
    """Call one new layer with each case; tell what is not as PyTorch has it first, or nothing.

    Calls of a mode, and gradients, that the implementation does not offer are left out.

    Parameters
    ----------
    only : sequence of str
        Outputs to look at; none means all.
    """
    claims = adapter.claims
    offered = [case for case in cases if ("training" if case.training else "inference") in claims.modes]
    if not offered:
        return ""
    first = offered[0]
    running = Running(_own(first.running_mean), _own(first.running_var))
    biased = claims.dialect.stored_variance == "biased"
    for number, (case, outcome) in enumerate(zip(offered, run_steps(adapter, offered), strict=True), 1):
        if outcome.error is not None:
            return f"call {number}: {outcome.exit or RAISED}, {outcome.error.splitlines()[0]}"
        for name in _different(outcome, expected(case, running, biased=biased), same, only):
            return f"call {number}: {name}"
    return ""


def _different(outcome: Outcome, wanted: dict[str, torch.Tensor], same: Same, only: Sequence[str]) -> Iterator[str]:
    for name, value in wanted.items():
        if only and name not in only:
            continue
        given = getattr(outcome, name)
        if given is None or given.shape != tuple(value.shape):
            yield f"{name} is missing" if given is None else f"{name} has shape {list(given.shape)}"
        elif given.dtype.name != str(value.dtype).removeprefix("torch."):
            yield f"{name} is {given.dtype.name}"
        elif not same(torch.from_numpy(np.ascontiguousarray(given)), value):
            yield f"{name} differs"


def _leaf(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array.copy()).requires_grad_()


def _own(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array.copy())
