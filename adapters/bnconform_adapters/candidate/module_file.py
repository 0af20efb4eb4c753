"""Candidate files with a torch.nn.Module class that replaces torch.nn.BatchNorm.

The suite calls ``NAME(channels, eps=, momentum=, affine=, bias=, track_running_stats=, dtype=, device=)`` with only the
keywords that the constructor has. Without `affine`, weight and bias are always present; without `eps` or `momentum`,
the module's own value is fixed. With half types of x, parameters are float32, as in torch. For float64 the suite passes
`dtype`, or else calls ``module.double()``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import check_torch_device
from bnconform_adapters.candidate.module_state import (
    always_present,
    built_with,
    check_parameters,
    with_fixed_momentum,
)
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.candidate.tried_ranks import with_tried_ranks
from bnconform_adapters.claims import Claims, Mode, Parameters
from bnconform_adapters.contract import describe_error
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.torch import LAYOUTS, layouts_on
from bnconform_reference.dialect import Dialect

CHANNELS = 3
"""Number of channels of the module that is built to inspect it."""


def drop_in_candidate(title: str, where: str, cls: Any, stated: Statements) -> Candidate:
    """Return the adapter of a class that replaces torch.nn.BatchNorm.

    Raises
    ------
    AdapterError
        The class cannot be built, its state cannot be found, or a statement of the file is wrong.
    """
    from bnconform_adapters.plain.candidate_module import keywords, usual

    device = stated.chosen("DEVICE", "cpu")
    check_torch_device(device, stated.path)
    stated.kind = cls
    names = keywords(cls)
    switched_on = ", affine=True" if "affine" in names else ""
    module = built(lambda: usual(stated), f"{where}: {cls.__name__}({CHANNELS}{switched_on})")
    return adapter(title, where, names, device, module, stated, "plain.candidate_module")


def built(make: Callable[[], Any], what: str) -> Any:
    """Call `make`; errors name it as `what`.

    Raises
    ------
    AdapterError
        `make` raised.
    """
    try:
        return make()
    except Exception as error:
        raise AdapterError(f"{what} cannot be built: {describe_error(error)}") from error


def adapter(
    title: str,
    where: str,
    names: frozenset[str],
    device: str,
    module: Any,
    stated: Statements,
    plain_code: str,
    remarks: tuple[str, ...] = (),
    **forms_own: Any,
) -> Candidate:
    """Return the adapter of a module class: one that replaces BatchNorm, or that of a KernelBench file.

    Parameters
    ----------
    names : set of str
        BatchNorm's keywords that its constructor takes.
    device : str
    module : torch.nn.Module
        An instance, to inspect.
    plain_code : str
        The module of `bnconform_adapters` that calls this form.
    remarks : tuple of str
        Notes of the form.
    **forms_own
        Claims that follow from the form.
    """
    from bnconform_adapters.plain.file_module import own_names

    try:
        state: dict[str, str] = own_names(module, stated.mapping("STATE"), where)
    except LookupError as error:
        raise AdapterError(str(error)) from None
    stated.names = state
    stated_claims = stated.mapping("CLAIMS")
    if "parameters" not in stated_claims:
        check_parameters(module, state, where, affine="affine" in names)
    base = Claims(
        dialect=Dialect(cumulative="momentum" in names),
        layouts=layouts_on(device),
        parameters=_parameters(always_present(state), names),
        untracked="track_running_stats" in names,
        gradient_subsets=True,
        bitwise=False,  # torch's own vector loops and their tails round differently
    )
    claims = stated.claims(replace(base, **forms_own), LAYOUTS)
    if "gradients" in forms_own and not forms_own["gradients"] and "gradients" not in stated_claims:
        how = "CLAIMS = {'gradients': ['training']} claims them"
        remarks = (*remarks, f"y has no gradient, so gradients are not claimed; {how}")
    if "ranks" not in {*stated_claims, *forms_own}:
        claims, more = with_tried_ranks(claims, partial(_called, module, device))
        remarks = (*remarks, *more)
    if "eps" not in names and "fixed_eps" not in stated_claims:
        claims = replace(claims, fixed_eps=built_with(module, "eps", where))
    if "momentum" not in names and "fixed_momentum" not in stated_claims:
        claims = with_fixed_momentum(claims, built_with(module, "momentum", where))
    stated.refuse_contradictions(claims)
    assert stated.kind is not None
    return Candidate.of(title, claims, plain_code, stated, f"class {stated.kind.__name__}", remarks)


def _parameters(always: Parameters, names: frozenset[str]) -> tuple[Parameters, ...]:
    """Return the possible sets of weight and bias."""
    if always != "both":
        return (always,)
    without: tuple[Parameters, ...] = ("neither",) if "affine" in names else ()
    return ("both", *without, *(("weight",) if "bias" in names else ()))


def _called(module: Any, device: str, rank: int, mode: Mode) -> tuple[Any, Any]:
    """Call the module on a small x of some rank; return the shapes of x and y."""
    import torch

    x = torch.rand(4, CHANNELS, *[2] * (rank - 2), device=device)
    return tuple(x.shape), tuple(module.train(mode == "training")(x).shape)
