"""Ranks of x that a layer takes, found by calling it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.contract import describe_error

DELIBERATE = (ValueError, AssertionError, NotImplementedError)
"""Exceptions by which a layer refuses an x of some rank on purpose."""
STATEMENTS, UNPACKING = ("raise", "assert"), "values to unpack"
"""Statements that raise on purpose, and the error of `n, c = x.shape`, which says the rank as well. NumPy raises a
ValueError of its own where shapes do not fit."""


def with_tried_ranks(claims: Claims, call: Callable[[int, Mode], tuple[Any, Any]]) -> tuple[Claims, tuple[str, ...]]:
    """Return the claims without the ranks that a layer refuses, and remarks on the ranks that it fails.

    Only a deliberate refusal in every mode narrows the claims. If the layer fails in another way, with a wrong view for
    example, the rank stays claimed, and laws break on it. A layer that refuses every rank is judged on all of them.

    Parameters
    ----------
    claims : Claims
    call : callable
        Calls the layer on a small x of some rank in a mode; returns the shapes of x and y.
    """
    refused, failing = dict[int, str](), dict[int, str]()
    for rank in RANKS:
        found = [_problem(call, rank, mode) for mode in claims.modes]
        if all(text for text, _ in found):
            kind = refused if all(deliberate for _, deliberate in found) else failing
            kind[rank] = found[0][0]
    taken = tuple(rank for rank in RANKS if rank not in refused)
    if not taken:
        return claims, ()
    right = [rank for rank in taken if rank not in failing]
    narrows = f"; CLAIMS = {{'ranks': {right}}} claims less" if right else ""
    told = (*_remarks(refused, "was refused when tried:", ""), *_remarks(failing, "gives", narrows))
    return replace(claims, ranks=taken), told


def _problem(call: Callable[[int, Mode], tuple[Any, Any]], rank: int, mode: Mode) -> tuple[str, bool]:
    """Return what is wrong with a call, or an empty string; and whether the layer refused x on purpose."""
    try:
        given, found = call(rank, mode)
    except Exception as error:  # each layer raises its own exceptions
        *_, last = traceback.extract_tb(error.__traceback__)
        text, line = describe_error(error), last.line
        on_purpose = not line or line.startswith(STATEMENTS) or UNPACKING in text
        return text, on_purpose and isinstance(error, DELIBERATE)
    return "" if given == found else f"y of shape {found} for x of shape {given}", False


def _remarks(ranks: dict[int, str], verb: str, more: str) -> tuple[str, ...]:
    """Return one sentence for each type of error, with its ranks."""
    by_type: dict[str, list[int]] = {}
    for rank, error in ranks.items():
        by_type.setdefault(error.partition(":")[0], []).append(rank)
    return tuple(f"x of rank {', '.join(map(str, found))} {verb} {ranks[found[0]]}{more}" for found in by_type.values())
