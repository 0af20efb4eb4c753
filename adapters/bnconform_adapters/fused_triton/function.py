"""`fused_batch_norm`: kernels for forward and backward, torch operations for double backward."""

from __future__ import annotations

from typing import Any

import torch

from . import formula
from .launch import Settings, accumulator
from .launch_backward import Gradients, Needs, Saved, backward
from .launch_forward import Forward, Vectors, inference_forward, training_forward
from .validate import check_call


def fused_batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: torch.Tensor | None = None,
    relu: bool = False,
) -> torch.Tensor:
    """Batch normalization with an optional residual and ReLU in the same pass.

    ``y = weight (x - mean) / sqrt(var + eps) + bias``, then ``+ residual``, then ``max(y, 0)``. In
    training mode mean and (biased) variance are the batch's, and the running statistics are updated in place
    to ``(1 - momentum) old + momentum new`` with the unbiased variance. Inference mode uses the running
    statistics and does not change them. The function is twice differentiable in x, weight, bias and residual.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, \\*spatial), rank 2 to 5; float16, bfloat16, float32 or float64. NCHW-like and
        channels-last memory is read directly; a tensor with other strides is copied first.
    weight, bias : Tensor or None
        Shape (C,), x's dtype, or float32 for half types. None means 1 and 0.
    running_mean, running_var : Tensor or None
        Shape (C,), dtype as weight, any strides. Needed for inference, optional for training.
    training : bool
        Whether to use the batch's statistics.
    momentum : float
        Weight of the new batch in the running statistics.
    eps : float
        Added to the variance inside the root, at least 0; with 0, a constant channel gives NaN (0 / 0).
    residual : Tensor or None
        Shape and dtype of x.
    relu : bool
        Whether to apply ReLU; NaN stays NaN.

    Returns
    -------
    Tensor
        y, in x's shape, dtype and memory format. An empty x gives an empty y and changes no state.

    Raises
    ------
    ValueError
        A rank, shape, dtype, device or eps is wrong, or training has one value per channel. No state
        changes then.
    """
    check_call(x, weight, bias, running_mean, running_var, residual, training=training, eps=eps)
    if training:
        # Parameters that share memory with the buffers would change during this call.
        buffers = {_memory(t) for t in (running_mean, running_var) if t is not None}
        weight = weight.clone() if weight is not None and _memory(weight) in buffers else weight
        bias = bias.clone() if bias is not None and _memory(bias) in buffers else bias
    settings = Settings(training=training, momentum=momentum, eps=eps, relu=relu)
    differentiable = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, weight, bias, residual)
    )
    y: torch.Tensor = _FusedBatchNorm.apply(
        x, weight, bias, residual, running_mean, running_var, settings, differentiable
    )
    return y


def _memory(t: torch.Tensor) -> int:
    address: int = t.untyped_storage().data_ptr()
    return address


class _FusedBatchNorm(torch.autograd.Function):  # type: ignore[misc]
    """The autograd function from x, weight, bias and residual to y; it also updates the running statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        residual: torch.Tensor | None,
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        settings: Settings,
        differentiable: bool,
    ) -> torch.Tensor:
        result = _forward(x, Vectors(weight, bias, running_mean, running_var), residual, settings, save=differentiable)
        keeps_y = settings.relu and residual is not None
        ctx.save_for_backward(x, weight, bias, result.y if keeps_y else None, result.mean, result.invstd)
        ctx.settings = settings
        return result.y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        needs = Needs(*ctx.needs_input_grad[:4])
        dx = dweight = dbias = dresidual = None
        gated = needs._replace(dresidual=needs.dresidual and ctx.settings.relu)
        if any(gated):
            dx, dweight, dbias, dresidual = _FusedBatchNormGradients.apply(dy, *ctx.saved_tensors, ctx.settings, gated)
        if needs.dresidual and not ctx.settings.relu:
            dresidual = dy
        return dx, dweight, dbias, dresidual, None, None, None, None


class _FusedBatchNormGradients(torch.autograd.Function):  # type: ignore[misc]
    """The autograd function from dy, x and weight to (dx, dweight, dbias, dresidual)."""

    @staticmethod
    def forward(
        ctx: Any,
        dy: torch.Tensor,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        y: torch.Tensor | None,
        mean: torch.Tensor,
        invstd: torch.Tensor,
        settings: Settings,
        needs: Needs,
    ) -> Gradients:
        ctx.save_for_backward(dy, x, weight, bias, y, mean, invstd)
        ctx.settings = settings
        ctx.set_materialize_grads(False)
        saved = Saved(x, weight, bias, y, mean, invstd)
        if x.numel() == 0:
            return Gradients(
                torch.zeros_like(x) if needs.dx else None,
                torch.zeros_like(weight) if needs.dweight else None,
                torch.zeros_like(bias) if needs.dbias else None,
                torch.zeros_like(x) if needs.dresidual else None,
            )
        return backward(dy, saved, settings, needs)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        dy, *rest = ctx.saved_tensors
        saved = Saved(*rest)
        wanted = [needed for needed, _ in zip(ctx.needs_input_grad, range(3), strict=False)]
        nothing = (None,) * 6
        if saved.x.numel() == 0:
            return (
                tuple(
                    torch.zeros_like(t) if want else None
                    for t, want in zip((dy, saved.x, saved.weight), wanted, strict=True)
                )
                + nothing
            )
        with torch.enable_grad():
            # Aliases cut a dependence of dy on x: autograd follows that path outside this function.
            inputs = [
                None if t is None else t.view_as(t) if t.requires_grad else t for t in (dy, saved.x, saved.weight)
            ]
            outputs = formula.gradients(*inputs, saved, ctx.settings)  # type: ignore[arg-type, call-arg]
            pairs = [
                (out, g.to(out.dtype))
                for out, g in zip(outputs, cotangents, strict=True)
                if g is not None and out.requires_grad
            ]
        sought = [t for t, want in zip(inputs, wanted, strict=True) if want]
        found = iter(
            torch.autograd.grad(
                [out for out, _ in pairs],
                sought,
                [g for _, g in pairs],
                create_graph=torch.is_grad_enabled(),
                allow_unused=True,
            )
        )
        return tuple(next(found) if want else None for want in wanted) + nothing


def _forward(
    x: torch.Tensor, vectors: Vectors, residual: torch.Tensor | None, settings: Settings, *, save: bool
) -> Forward:
    if x.numel() == 0:
        zeros = torch.zeros(2, x.shape[1], dtype=accumulator(x)[0], device=x.device)
        return Forward(torch.empty_like(x), *zeros.unbind())
    if not settings.training:
        return inference_forward(x, vectors, residual, settings, save=save)
    result = training_forward(x, vectors, residual, settings)
    for buffer in (vectors.running_mean, vectors.running_var):
        if buffer is not None:  # autograd does not see that a kernel wrote the buffer
            torch.autograd.graph.increment_version(buffer)
    return result
