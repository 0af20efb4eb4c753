"""What a call asks for, held against claims: a suite must ask for nothing that is not claimed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bnconform_adapters.claims import Claims, Mode
from bnconform_adapters.contract import Case

VECTORS = ("weight", "bias", "running_mean", "running_var")
PARAMETERS = {(True, True): "both", (True, False): "weight", (False, True): "bias", (False, False): "neither"}
NEAR = 2.0**-24
"""How far the share of 1 that float32 holds exactly may be from a fixed momentum."""


def wrong(case: Case) -> str:
    """What is wrong with a call's arguments; empty where nothing is."""
    if case.x.ndim < 2:
        return "x without channels"
    if case.eps < 0:
        return "a negative eps"
    vectors = {name: getattr(case, name) for name in VECTORS}
    if others := [name for name, one in vectors.items() if one is not None and one.shape != case.x.shape[1:2]]:
        return f"{others[0]} of another length than the channels"
    return "dy of another shape than x" if case.dy is not None and case.dy.shape != case.x.shape else ""


def unclaimed(case: Case, claims: Claims, derivative: str = "", *, shard: bool = False) -> Iterator[str]:
    """What a call asks for though it is not claimed.

    Parameters
    ----------
    derivative : str
        "second_order" or "forward_mode" where that is asked for.
    shard : bool
        Whether it is a part of a batch, which may be empty.
    """
    mode: Mode = "training" if case.training else "inference"
    layouts, rank = set(claims.layouts), case.x.ndim
    if rank == 2 and "channels_last" in layouts:
        layouts.add("contiguous")
    usual = Case.wanted if claims.parameter_gradients else "dx"
    asked = {
        mode: mode in claims.modes,
        case.dtype: case.dtype in claims.dtypes,
        f"rank {rank}": rank in claims.ranks,
        f"x {case.layout} at rank {rank}": case.layout in layouts,
        f"dy {case.dy_layout} at rank {rank}": case.dy is None or case.dy_layout in layouts,
        "strided parameters": case.parameters_layout == "contiguous" or "sliced" in layouts,
        "strided statistics": case.statistics_layout == "contiguous" or claims.strided_statistics,
        "these parameters": PARAMETERS[case.weight is not None, case.bias is not None] in claims.parameters,
        "no running statistics": case.running_mean is not None or claims.untracked or not claims.tracked,
        "running statistics": case.running_mean is None or claims.tracked,
        f"gradients in {mode}": case.dy is None or mode in claims.gradients,
        "some gradients alone": case.dy is None or case.wanted == usual or claims.gradient_subsets,
        "gradients of parameters": case.dy is None or case.wanted == "dx" or claims.parameter_gradients,
        f"{derivative} in {mode}": not derivative or mode in getattr(claims, derivative),
        "an empty batch": bool(case.values_per_channel) or not case.training or claims.empty_batches or shard,
        f"eps {case.eps}": _is_eps(case.eps, claims),
        f"momentum {case.momentum}": _is_momentum(case.momentum, claims),
    }
    return (what for what, claimed in asked.items() if not claimed)


def _is_eps(eps: float, claims: Claims) -> bool:
    if claims.float32_scalars and float(np.float32(eps)) != eps:
        return False
    if claims.fixed_eps is None:
        return eps >= claims.eps_min
    return eps == (float(np.float32(claims.fixed_eps)) if claims.float32_scalars else claims.fixed_eps)


def _is_momentum(momentum: float | None, claims: Claims) -> bool:
    if momentum is None:
        return claims.dialect.cumulative and claims.fixed_momentum is None
    if claims.float32_scalars and float(np.float32(momentum)) != momentum:
        return False
    if claims.fixed_momentum is None:
        return claims.momentum_min <= momentum <= 1
    return abs(momentum - claims.fixed_momentum) <= (NEAR if claims.float32_scalars else 0.0)
