"""Launch the kernels of backward passes."""

from __future__ import annotations

from typing import NamedTuple

import torch

from . import kernels_backward as kernels
from .launch import (
    ABSENT,
    Operand,
    Settings,
    accumulator,
    merge_tile,
    merged_at_once,
    on_chip_tile,
    shape,
    sizes,
    streaming_grid,
    vector_stride,
    wide,
)
from .layout import in_layout_of, view_like, viewable
from .plan import ceil_div
from .runtime import launch


class Saved(NamedTuple):
    """Tensors that the forward pass saves for the backward pass.

    ``y`` is saved only for ReLU with a residual. Without a residual, the kernels recompute the sign of y
    from x, without extra traffic.
    """

    x: torch.Tensor
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    y: torch.Tensor | None
    mean: torch.Tensor
    invstd: torch.Tensor


class Needs(NamedTuple):
    """Flags: the gradients to compute."""

    dx: bool
    dweight: bool
    dbias: bool
    dresidual: bool


class Gradients(NamedTuple):
    """Gradients, None if not requested. ``dresidual`` is set only with ReLU; without, it equals dy."""

    dx: torch.Tensor | None
    dweight: torch.Tensor | None
    dbias: torch.Tensor | None
    dresidual: torch.Tensor | None


def backward(dy: torch.Tensor, saved: Saved, settings: Settings, needs: Needs) -> Gradients:
    """Compute the gradients that ``needs`` names; every subset gives the same bits."""
    run = _run(dy, saved, settings, needs)
    if settings.training:
        run.training()
    else:
        run.inference()
    return run.gradients


def gradient_sums(dy: torch.Tensor, saved: Saved, settings: Settings) -> torch.Tensor:
    """Compute the sums of dy and of dy * xhat over a shard, in the accumulator's dtype; shape (2, C)."""
    return torch.stack(_run(dy, saved, settings, Needs(False, False, False, False))._sums(None, None))


def input_gradient(
    dy: torch.Tensor, saved: Saved, settings: Settings, sums: torch.Tensor, values_per_channel: int
) -> torch.Tensor:
    """Compute dx of a shard from the gradient sums of a whole batch of ``values_per_channel``."""
    run = _run(dy, saved, settings, Needs(True, False, False, False))
    sum_dy, sum_dy_xhat = sums.contiguous().unbind()
    run._input_gradient(sum_dy, sum_dy_xhat, None, values_per_channel)
    assert run.gradients.dx is not None
    return run.gradients.dx


def _run(dy: torch.Tensor, saved: Saved, settings: Settings, needs: Needs) -> _Run:
    x, view, out, out_view = viewable(saved.x)
    source = Operand(x, view)
    incoming = Operand(*in_layout_of(dy, out, out_view))
    gate = ABSENT if saved.y is None else Operand(*in_layout_of(saved.y, out, out_view))
    residual = torch.empty_like(out) if needs.dresidual and settings.relu else None
    assert residual is None or view_like(residual, out_view) == out_view
    gradients = Gradients(
        out if needs.dx else None,
        torch.empty_like(saved.weight, memory_format=torch.contiguous_format)
        if needs.dweight and saved.weight is not None
        else None,
        torch.empty_like(saved.bias, memory_format=torch.contiguous_format)
        if needs.dbias and saved.bias is not None
        else None,
        residual,
    )
    return _Run(incoming, source, gate, Operand(out, out_view), gradients, saved, settings)


class _Run(NamedTuple):
    """The operands of one backward pass, and methods that launch its kernels."""

    incoming: Operand
    source: Operand
    gate: Operand
    out: Operand
    gradients: Gradients
    saved: Saved
    settings: Settings

    def training(self) -> None:
        """Launch one kernel if dy and x fit on chip, else kernels for the sums, then for dx."""
        view, x = self.source.view, self.source.tensor
        assert view is not None
        assert x is not None
        tile = on_chip_tile(x, view)
        if tile is not None:
            launch(
                kernels.backward_on_chip, ceil_div(view.channels, tile.channels), tile.warps, x.device,
                **self._tensors(self.gradients.dx, self.gradients.dresidual),
                dweight_ptr=self.gradients.dweight, dbias_ptr=self.gradients.dbias,
                RELU=self.settings.relu, ACC=accumulator(x)[1],
                WIDE=wide(tile, self.source, self.incoming, self.gate, self.out), TILE=shape(tile),
            )  # fmt: skip
            return
        sum_dy, sum_dy_xhat = self._sums(None, self.gradients.dresidual)
        if self.gradients.dx is None:
            return
        if self.gradients.dresidual is not None:
            # dresidual now contains dy after ReLU's gate: read it instead of dy and y.
            behind = self._replace(
                incoming=Operand(self.gradients.dresidual, self.out.view),
                settings=Settings(True, self.settings.momentum, self.settings.eps, relu=False),
                gate=ABSENT,
            )
            behind._input_gradient(sum_dy, sum_dy_xhat, None)
        else:
            self._input_gradient(sum_dy, sum_dy_xhat, None)

    def inference(self) -> None:
        """Launch the kernel for dx, which needs no sums; if sums are requested, their kernel also writes dx."""
        if self.gradients.dweight is not None or self.gradients.dbias is not None:
            self._sums(self.gradients.dx, self.gradients.dresidual)
        else:
            self._input_gradient(None, None, self.gradients.dresidual)

    def _tensors(self, dx: torch.Tensor | None, dresidual: torch.Tensor | None) -> dict[str, object]:
        """Return the arguments that all backward kernels over x share."""
        view = self.source.view
        assert view is not None
        return {
            "dy_ptr": self.incoming.tensor,
            "x_ptr": self.source.tensor,
            "y_ptr": self.gate.tensor,
            "dx_ptr": dx,
            "dresidual_ptr": dresidual,
            "weight_ptr": self.saved.weight,
            "bias_ptr": self.saved.bias,
            "mean_ptr": self.saved.mean,
            "invstd_ptr": self.saved.invstd,
            "dy_strides": self.incoming.strides,
            "x_strides": self.source.strides,
            "y_strides": self.gate.strides,
            "dx_strides": self.out.strides,
            "affine_strides": (vector_stride(self.saved.weight), vector_stride(self.saved.bias)),
            "sizes": sizes(view),
        }

    def _sums(self, dx: torch.Tensor | None, dresidual: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum dy and dy * xhat per channel, in the accumulator's dtype; write dweight and dbias."""
        view, x = self.source.view, self.source.tensor
        assert view is not None
        assert x is not None
        dtype, acc = accumulator(x)
        tile, grid = streaming_grid(x, view, merge=True)
        sums = torch.empty(2, grid.splits, view.channels, dtype=dtype, device=x.device)
        launch(
            kernels.partial_gradients, grid.programs, tile.warps, x.device, **self._tensors(dx, dresidual),
            sum_dy_ptr=sums[0], sum_dy_xhat_ptr=sums[1],
            channel_blocks=grid.channel_blocks, splits=grid.splits,
            RELU=self.settings.relu, TILES=grid.tiles_per_program, CHANNELS_LAST=view.channels_last, ACC=acc,
            WIDE=wide(tile, self.source, self.incoming, self.gate, self.out), TILE=shape(tile),
        )  # fmt: skip
        while True:
            rows = sums.shape[1]
            block, length = merge_tile(rows, view.channels)
            groups, channel_blocks = ceil_div(rows, length), ceil_div(view.channels, block)
            last = merged_at_once(rows)
            merged = torch.empty(2, groups, view.channels, dtype=dtype, device=x.device)
            launch(
                kernels.merge_gradients, groups * channel_blocks, 4, x.device,
                sum_dy_ptr=sums[0], sum_dy_xhat_ptr=sums[1],
                out_dy_ptr=merged[0], out_dy_xhat_ptr=merged[1],
                dweight_ptr=self.gradients.dweight if last else None,
                dbias_ptr=self.gradients.dbias if last else None,
                partials=rows, channels=view.channels, channel_blocks=channel_blocks, BC=block, BP=length,
            )  # fmt: skip
            if last:
                return merged[0, 0], merged[1, 0]
            sums = merged

    def _input_gradient(
        self,
        sum_dy: torch.Tensor | None,
        sum_dy_xhat: torch.Tensor | None,
        dresidual: torch.Tensor | None,
        values_per_channel: int | None = None,
    ) -> None:
        """Launch the elementwise pass, which reads x only if needed. The sums may include other shards' values."""
        view, x = self.source.view, self.source.tensor
        assert view is not None
        assert x is not None
        tile, grid = streaming_grid(x, view, merge=False)
        n = values_per_channel or view.values_per_channel
        reads_x = sum_dy is not None or (self.settings.relu and self.gate.tensor is None)
        launch(
            kernels.input_gradient, grid.programs, tile.warps, x.device,
            **{**self._tensors(self.gradients.dx, dresidual), "x_ptr": x if reads_x else None},
            sum_dy_ptr=sum_dy, sum_dy_xhat_ptr=sum_dy_xhat, values_per_channel=n,
            channel_blocks=grid.channel_blocks, tiles=grid.tiles,
            RELU=self.settings.relu, CHANNELS_LAST=view.channels_last, ACC=accumulator(x)[1],
            WIDE=wide(tile, self.source, self.incoming, self.gate, self.out), TILE=shape(tile),
        )  # fmt: skip
