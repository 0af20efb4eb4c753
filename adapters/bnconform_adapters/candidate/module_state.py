"""Parameters, eps and momentum of a candidate layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

from bnconform_adapters.claims import Claims, Parameters
from bnconform_adapters.errors import AdapterError

PARAMETERS: tuple[Literal["weight", "bias"], ...] = ("weight", "bias")
USUAL = {"eps": 1e-5, "momentum": 0.1}
"""Defaults of torch.nn.BatchNorm, for layers without these attributes."""


def always_present(names: Collection[str]) -> Parameters:
    """Return which of weight and bias a module or an object has, by the names of its parts."""
    own = tuple(name for name in PARAMETERS if name in names)
    return "both" if len(own) == 2 else own[0] if own else "neither"


def with_fixed_momentum(claims: Claims, momentum: float) -> Claims:
    """Return the claims with the momentum that a layer has, which may weigh the old statistics."""
    weighs_old = claims.dialect.momentum_weighs == "old"
    return replace(claims, fixed_momentum=1.0 - momentum if weighs_old else momentum)


def check_parameters(module: Any, state: Mapping[str, str], where: str, *, affine: bool) -> None:
    """Check that the suite can set a module's weight and bias.

    Parameters
    ----------
    affine : bool
        Whether the constructor takes `affine`; the module was then built with affine=True.

    Raises
    ------
    AdapterError
        weight or bias is missing although `affine` is True, or although the module has parameters of other names.
    """
    missing = [name for name in PARAMETERS if name not in state]
    unset = [name for name, _ in module.named_parameters() if name not in state.values()]
    if not missing or not (affine or unset):
        return
    rest = [name for name in PARAMETERS if name in state]
    narrowed = rest[0] if rest else "neither"
    lacks = f"has no {' and no '.join(missing)}"
    what = f"takes affine, but built with affine=True it {lacks}" if affine else f"{lacks}, but other parameters"
    entries = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    raise AdapterError(
        f"{where} {what}: its parameters and buffers are {', '.join(entries) or 'none'}; say what it is "
        f"called, STATE = {{{missing[0]!r}: ...}}, or claim less, CLAIMS = {{'parameters': [{narrowed!r}]}}"
    )


def built_with(module: Any, name: str, where: str) -> float:
    """Return the eps or momentum that the module or a submodule has as attribute, or else torch's default.

    Raises
    ------
    AdapterError
        Submodules have different values, or the value is not a number.
    """
    found = {getattr(part, name) for part in module.modules() if hasattr(part, name)}
    if not found:
        return USUAL[name]
    value = found.pop()
    if found or isinstance(value, bool) or not isinstance(value, int | float):
        shown = "differ in it" if found else f"have {name} = {value!r}"
        raise AdapterError(
            f"{where} does not say which {name} it uses: its parts {shown}; state it: CLAIMS = "
            f"{{'fixed_{name}': {USUAL[name]}}}"
        )
    return float(value)
