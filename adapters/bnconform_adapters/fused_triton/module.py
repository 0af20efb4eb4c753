"""`FusedBatchNorm`: a module that replaces ``torch.nn.BatchNorm1d``, ``2d`` or ``3d``."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from .function import fused_batch_norm
from .statistics import ChannelStatistics


class FusedBatchNorm(_BatchNorm):  # type: ignore[misc]
    """Batch normalization by fused Triton kernels, for inputs of shape (N, C) to (N, C, D, H, W).

    Parameters, buffers, ``state_dict`` keys and checkpoints are those of ``torch.nn.BatchNorm*d``;
    so are ``momentum=None`` (cumulative average), ``affine=False`` and ``track_running_stats=False``.
    One difference: a call that raises and an empty batch do not advance ``num_batches_tracked``,
    since neither changes the statistics. Torch counts both.

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float
        Added to the variance inside the root; 0 is allowed if no variance is 0.
    momentum : float or None
        Weight of the new batch in the running statistics; None for the average over all batches.
    affine : bool
        Whether to learn weight and bias.
    track_running_stats : bool
        Whether to track running statistics; without them inference uses the batch's own.
    device : torch.device, optional
        Device of parameters and buffers.
    dtype : torch.dtype, optional
        Dtype of parameters and buffers; float32 parameters work with float16 and bfloat16 inputs.
    bias : bool
        Whether an affine module has a bias.
    relu : bool
        Apply ReLU to the result, in the same kernel.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        relu: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if not bias:  # older torch has no such argument
            self.register_parameter("bias", None)
        self.relu = relu

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise x, add ``residual`` if given, apply ReLU if the module was built with it.

        Parameters
        ----------
        x : Tensor
            Shape (N, C, \\*spatial), rank 2 to 5.
        residual : Tensor, optional
            Shape and dtype of x.

        Returns
        -------
        Tensor
            y, in x's shape, dtype and memory format.

        Raises
        ------
        ValueError
            As in `fused_batch_norm`, or the number of channels differs from ``num_features``.
        """
        if x.ndim >= 2 and x.shape[1] != self.num_features:
            raise ValueError(
                f"x of shape {tuple(x.shape)} has {x.shape[1]} channels on axis 1, but this module was built "
                f"for {self.num_features}: pass x with {self.num_features} channels"
            )
        tracking = self.training and self.track_running_stats and self.num_batches_tracked is not None
        keeps_buffers = not self.training or self.track_running_stats
        y = fused_batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean if keeps_buffers else None,
            self.running_var if keeps_buffers else None,
            training=self.training or (self.running_mean is None and self.running_var is None),
            momentum=self._factor() if tracking else self.momentum or 0.0,
            eps=self.eps,
            residual=residual,
            relu=self.relu,
        )
        if tracking and x.numel() > 0:
            self.num_batches_tracked.add_(1)
        return y

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def move_statistics(self, whole: ChannelStatistics) -> None:
        """Update the running statistics with a whole batch's, with the unbiased variance; an empty batch is ignored."""
        count = whole.values_per_channel
        if self.running_mean is None or not count:
            return
        share = self._factor()
        for buffer, batch in ((self.running_mean, whole.mean), (self.running_var, whole.m2 / (count - 1))):
            buffer.copy_((1 - share) * buffer + share * batch.to(buffer.dtype))
        self.num_batches_tracked.add_(1)

    def _factor(self) -> float:
        """Return the weight of the next batch in the running statistics."""
        if self.momentum is not None:
            return float(self.momentum)
        return 1.0 / (int(self.num_batches_tracked) + 1)

    def extra_repr(self) -> str:
        """Return the text of torch's module, with ``relu``."""
        return f"{super().extra_repr()}, relu={self.relu}"
