"""A module's own names of weight, bias and running statistics, and the eps and momentum that it was built with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnconform_adapters.contract import AdapterError

PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
# What torch.nn.BatchNorm has, for modules without attributes that say so.
USUAL = {"eps": 1e-5, "momentum": 0.1}


def find_state(module: Any, stated: Mapping[str, Any], where: str) -> dict[str, str]:
    """Find what a module calls its weight, bias, running_mean and running_var.

    Each is what STATE says, or the entry of that name, or else the only one whose name ends in it, as in "bn.weight".

    Returns
    -------
    dict of str to str
        weight and bias are left out where the module has none.

    Raises
    ------
    AdapterError
        STATE names what there is not, a running statistic is missing, or a name is ambiguous.
    """
    own = _entries(module)
    listed = ", ".join(own) or "nothing"
    state = {}
    for name in (*PARAMETERS, *STATISTICS):
        if name in stated:
            if stated[name] not in own:
                raise AdapterError(f"STATE in {where} has {name} = {stated[name]!r}, but the module has {listed}")
            state[name] = stated[name]
            continue
        found = [name] if name in own else [entry for entry in own if entry.endswith(f".{name}")]
        if len(found) > 1:
            raise AdapterError(
                f"{where} has {len(found)} entries that end in {name}: {', '.join(found)}; say which is the batch "
                f"norm's: STATE = {{{name!r}: {found[0]!r}}}"
            )
        if found:
            state[name] = found[0]
        elif name in STATISTICS:
            raise AdapterError(
                f"{where} has no {name}: its parameters and buffers are {listed}; name it so, or say what it is "
                f"called: STATE = {{{name!r}: ...}}"
            )
    if unknown := set(stated) - set(PARAMETERS) - set(STATISTICS):
        known = ", ".join((*PARAMETERS, *STATISTICS))
        raise AdapterError(f"STATE in {where} has an unknown key {sorted(map(str, unknown))[0]!r}; known: {known}")
    return state


def check_parameters(module: Any, state: Mapping[str, str], where: str, *, affine: bool) -> None:
    """Refuse a module that lacks weight or bias although it should have them, or has parameters that nobody sets.

    Parameters
    ----------
    affine : bool
        Whether its constructor takes `affine`, with which it was built as True.

    Raises
    ------
    AdapterError
        It lacks one of them, or has it under a name that nobody stated.
    """
    missing = [name for name in PARAMETERS if name not in state]
    unset = [name for name, _ in module.named_parameters() if name not in state.values()]
    if not missing or not (affine or unset):
        return
    rest = [name for name in PARAMETERS if name in state]
    narrowed = rest[0] if rest else "neither"
    lacks = f"has no {' and no '.join(missing)}"
    what = f"takes affine, but built with affine=True it {lacks}" if affine else f"{lacks}, but other parameters"
    raise AdapterError(
        f"{where} {what}: its parameters and buffers are {', '.join(_entries(module)) or 'none'}; say what it is "
        f"called, STATE = {{{missing[0]!r}: ...}}, or claim less, CLAIMS = {{'parameters': [{narrowed!r}]}}"
    )


def _entries(module: Any) -> list[str]:
    return [name for name, _ in (*module.named_parameters(), *module.named_buffers())]


def built_with(module: Any, name: str, where: str) -> float:
    """The module's eps or momentum: the attribute of it or of its only submodule that has one, or else torch's.

    Raises
    ------
    AdapterError
        Submodules differ, or it is None, so that no single number says what is right.
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
