"""The gradients as differentiable torch operations, for double backward."""

from __future__ import annotations

import torch

from .launch import Settings
from .launch_backward import Saved


def gradients(
    dy: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, saved: Saved, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute (dx, dweight, dbias, dresidual) as functions of dy, x and weight.

    In training mode ``dx = weight invstd (dy - mean(dy) - xhat mean(dy xhat))``, where the
    statistics are functions of x; in inference mode ``dx = weight invstd dy``. The ReLU's gate is
    a constant.

    Parameters
    ----------
    dy, x : Tensor
        Shape (N, C, \\*spatial).
    weight : Tensor or None
        Shape (C,).
    saved : Saved
        Values saved by the forward pass, for the gate and the inference statistics.
    settings : Settings
        Settings of the forward pass.
    """
    axes = [0, *range(2, x.ndim)]
    column = (1, -1, *([1] * (x.ndim - 2)))
    wide = saved.mean.dtype
    given = dy = dy.to(wide)
    deviation = x.to(wide)
    if settings.training:
        deviation = deviation - deviation.mean(axes, keepdim=True)
        invstd = (deviation.square().mean(axes, keepdim=True) + settings.eps).rsqrt()
    else:
        deviation = deviation - saved.mean.view(column)
        invstd = saved.invstd.view(column)
    if settings.relu:
        dy = torch.where(_gate(saved, column), given, torch.zeros_like(given))
    xhat = deviation * invstd
    scale = invstd if weight is None else invstd * weight.to(wide).view(column)
    dbias = dy.sum(axes, keepdim=True)
    dweight = (dy * xhat).sum(axes, keepdim=True)
    dx = dy
    if settings.training:
        n = x.numel() // x.shape[1]
        dx = dy - dbias / n - xhat * (dweight / n)
    return scale * dx, dweight.flatten(), dbias.flatten(), dy


@torch.no_grad()  # type: ignore[untyped-decorator]
def _gate(saved: Saved, column: tuple[int, ...]) -> torch.Tensor:
    """Return True where ReLU passes the gradient, by the same arithmetic as the kernels."""
    z = saved.y
    if z is None:
        wide = saved.mean.dtype
        scale = saved.invstd if saved.weight is None else saved.invstd * saved.weight.to(wide)
        z = (saved.x.to(wide) - saved.mean.view(column)) * scale.view(column)
        if saved.bias is not None:
            z = z + saved.bias.to(wide).view(column)
    return ~(z <= 0)
