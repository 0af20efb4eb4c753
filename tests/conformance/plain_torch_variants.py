"""One training step of PyTorch's batch norm, called in other ways than as a module or function in eager mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from plain_step import Plain, Step, quietly

DEFAULTS = (1e-5, 0.1)


def _tensors(x: np.ndarray, parameters: str) -> tuple[Any, ...]:
    """x (n, C) as (n, C, 1, 1), statistics, weight and bias of a new layer."""
    import torch

    values = torch.tensor(x.astype(np.float64)).to(getattr(torch, x.dtype.name))
    channels, dtype = x.shape[1], torch.float64 if x.dtype == np.float64 else torch.float32
    weight = torch.ones(channels, dtype=dtype) if parameters in ("both", "weight") else None
    bias = torch.zeros(channels, dtype=dtype) if parameters in ("both", "bias") else None
    return values[..., None, None], torch.zeros(channels, dtype=dtype), torch.ones(channels, dtype=dtype), weight, bias


def _step(y: Any, mean: Any, var: Any) -> Step:
    import ml_dtypes
    import torch

    def numpy(tensor: Any) -> np.ndarray:
        name = str(tensor.dtype).removeprefix("torch.")
        return np.array(tensor.detach().double()).astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)

    assert isinstance(y, torch.Tensor)
    return Step(numpy(y)[..., 0, 0], numpy(mean), numpy(var))


def module_step(x: np.ndarray, momentum: float, parameters: str = "both", *, autocast: bool) -> Step:
    import torch

    affine = {"both": True, "neither": False}[parameters]
    dtype = torch.float64 if x.dtype == np.float64 else torch.float32
    layer = torch.nn.BatchNorm2d(x.shape[1], momentum=momentum, affine=affine, dtype=dtype)
    values = _tensors(x, parameters)[0]
    if not autocast:
        values = values.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = layer(values)
    return _step(y, layer.running_mean, layer.running_var)


def function_step(x: np.ndarray, momentum: float, parameters: str = "both", *, batch_norm: Callable[..., Any]) -> Step:
    values, mean, var, weight, bias = _tensors(x, parameters)
    return _step(batch_norm(values, mean, var, weight, bias, momentum), mean, var)


def native(x: Any, mean: Any, var: Any, weight: Any, bias: Any, momentum: float) -> Any:
    import torch

    return torch.native_batch_norm(x, weight, bias, mean, var, True, momentum, 1e-5)[0]


def decomposed(x: Any, mean: Any, var: Any, weight: Any, bias: Any, momentum: float) -> Any:
    import torch
    from torch._decomp import decomposition_table

    decomposition = decomposition_table[torch.ops.aten.native_batch_norm.default]
    return decomposition(x, weight, bias, mean, var, True, momentum, 1e-5)[0]


def over_models(x: Any, mean: Any, var: Any, weight: Any, bias: Any, momentum: float) -> Any:
    """One model alone is a batch of models, too."""
    import torch

    given = [None if one is None else one[None] for one in (x, mean, var, weight, bias)]
    return torch.vmap(
        lambda x, mean, var, weight, bias: torch.nn.functional.batch_norm(x, mean, var, weight, bias, True, momentum),
        in_dims=tuple(None if one is None else 0 for one in given),
    )(*given)[0]


def compiled(x: Any, mean: Any, var: Any, weight: Any, bias: Any, momentum: float) -> Any:
    import torch

    batch_norm = torch.compile(torch.nn.functional.batch_norm, fullgraph=True, dynamic=True)
    return batch_norm(x, mean, var, weight, bias, True, momentum)


PLAIN = tuple(
    Plain(name, lambda: DEFAULTS, quietly(step))
    for name, step in (
        ("torch.channels_last", partial(module_step, autocast=False)),
        ("torch.autocast", partial(module_step, autocast=True)),
        ("torch.native", partial(function_step, batch_norm=native)),
        ("torch.decomp", partial(function_step, batch_norm=decomposed)),
        ("torch.vmap", partial(function_step, batch_norm=over_models)),
        ("torch.compile", partial(function_step, batch_norm=compiled)),
    )
)
