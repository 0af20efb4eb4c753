"""Checks of a call's arguments: each error says what was passed and what to pass instead."""

from __future__ import annotations

import math

import torch

from .runtime import interpreted

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_call(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    residual: torch.Tensor | None,
    *,
    training: bool,
    eps: float,
) -> None:
    """Raise ValueError for arguments that the kernels cannot take, before anything is written."""
    if not 2 <= x.ndim <= 5:
        raise ValueError(f"x has rank {x.ndim} (shape {_shape(x)}): pass 2 to 5 dimensions, (N, C) to (N, C, D, H, W)")
    if x.dtype not in DTYPES:
        raise ValueError(f"x has dtype {_dtype(x)}: pass float16, bfloat16, float32 or float64")
    if not interpreted and x.device.type != "cuda":
        raise ValueError(
            f"x is on {x.device.type}, but the kernels are compiled for a GPU in this process: pass a CUDA "
            "tensor, or set TRITON_INTERPRET=1 before the first use of fused_triton"
        )
    if x.device.type not in ("cpu", "cuda"):
        raise ValueError(f"x is on {x.device.type}: pass a tensor on cpu or cuda")
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"eps is {eps}: pass a finite number of 0 or more")
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    for name, vector in vectors.items():
        if vector is not None:
            _check_vector(name, vector, x)
    for name in ("running_mean", "running_var"):
        vector = vectors[name]
        if vector is not None and training and vector.numel() > 1 and vector.stride(0) == 0:
            raise ValueError(f"{name} is expanded (stride 0): pass a buffer with its own memory per channel")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("inference needs running_mean and running_var: pass both, or training=True")
    if residual is not None:
        _check_residual(residual, x)
    if training and x.shape[0] * math.prod(x.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {_shape(x)}: "
            "pass a larger batch, or switch to inference with eval()"
        )


def _check_vector(name: str, vector: torch.Tensor, x: torch.Tensor) -> None:
    channels = x.shape[1]
    if tuple(vector.shape) != (channels,):
        raise ValueError(
            f"{name} has shape {_shape(vector)}, but x of shape {_shape(x)} has {channels} channels on axis 1: "
            f"pass {name} of shape ({channels},), or x with {vector.numel()} channels"
        )
    allowed = [x.dtype]
    if x.dtype in (torch.float16, torch.bfloat16):
        allowed.append(torch.float32)
    if vector.dtype not in allowed:
        names = " or ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
        raise ValueError(f"{name} has dtype {_dtype(vector)}, but x has dtype {_dtype(x)}: pass {name} as {names}")
    if vector.device != x.device:
        raise ValueError(f"{name} is on {vector.device}, but x is on {x.device}: move one of them")


def _check_residual(residual: torch.Tensor, x: torch.Tensor) -> None:
    if residual.shape != x.shape:
        raise ValueError(
            f"residual has shape {_shape(residual)}, but x has shape {_shape(x)}: pass a residual of x's shape"
        )
    if residual.dtype != x.dtype:
        raise ValueError(f"residual has dtype {_dtype(residual)}, but x has dtype {_dtype(x)}: pass them in one dtype")
    if residual.device != x.device:
        raise ValueError(f"residual is on {residual.device}, but x is on {x.device}: move one of them")


def _shape(t: torch.Tensor) -> str:
    return str(tuple(t.shape))


def _dtype(t: torch.Tensor) -> str:
    return str(t.dtype).removeprefix("torch.")
