"""Views of a tensor's memory for the kernels: samples by channels by positions, with three strides."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ChannelView:
    """The view of a (N, C, \\*spatial) tensor as ``rows x channels x columns``.

    ``rows`` is 1 if samples and positions share one uniform stride: channels-last memory,
    (N, C) inputs, one sample, one channel. The contiguous axis is the columns, or with
    ``channels_last`` the channels.
    """

    rows: int
    channels: int
    columns: int
    row_stride: int
    channel_stride: int
    column_stride: int
    channels_last: bool

    @property
    def values_per_channel(self) -> int:
        """Number of values in a channel's statistics."""
        return self.rows * self.columns

    @property
    def reach(self) -> int:
        """Largest element offset in the view."""
        return (
            (self.rows - 1) * self.row_stride
            + (self.channels - 1) * self.channel_stride
            + (self.columns - 1) * self.column_stride
        )


def channel_view(x: torch.Tensor, *, fold: bool = True) -> ChannelView | None:
    """Return a view of a non-empty tensor without a copy, or None if its strides do not allow that.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, \\*spatial), at least one element.
    fold : bool
        Whether to join samples and positions to one axis if they share a uniform stride.
    """
    spatial = _spatial(x)
    if spatial is None:
        return None
    positions, position_stride = spatial
    samples, channels = x.shape[:2]
    sample_stride, channel_stride = x.stride(0), x.stride(1)
    rows, columns, row_stride, column_stride = samples, positions, sample_stride, position_stride
    if positions == 1:
        rows, columns, row_stride, column_stride = 1, samples, 0, sample_stride
    elif samples == 1 or (fold and sample_stride == positions * position_stride):
        rows, columns, row_stride = 1, samples * positions, 0
    if channels == 1:
        channel_stride = 0
    if columns == 1:
        column_stride = 0
    by_columns = column_stride == 1 or (columns == 1 and channel_stride != 1)
    if not by_columns and not (rows == 1 and channel_stride == 1):
        # One channel with gaps between positions is still one row.
        if not (rows == 1 and channels == 1):
            return None
        by_columns = True
    return ChannelView(rows, channels, columns, row_stride, channel_stride, column_stride, not by_columns)


def view_like(t: torch.Tensor, view: ChannelView) -> ChannelView | None:
    """Return a view of ``t`` (same shape) with the rows, columns and contiguous axis of ``view``, or None."""
    own = channel_view(t, fold=view.rows == 1)
    if own is None:
        return None
    same = (own.rows, own.columns, own.channels_last) == (view.rows, view.columns, view.channels_last)
    return own if same else None


def viewable(x: torch.Tensor) -> tuple[torch.Tensor, ChannelView, torch.Tensor, ChannelView]:
    """Return ``x`` and an empty tensor of the same layout for a result, both with their views.

    If memory is neither NCHW-like nor channels-last, a contiguous copy of ``x`` is returned.
    """
    view = channel_view(x)
    if view is not None:
        out = torch.empty_like(x)
        out_view = view_like(out, view)
        if out_view is not None:
            return x, view, out, out_view
    x = x.contiguous()
    view = channel_view(x)
    assert view is not None
    return x, view, torch.empty_like(x), view


def in_layout_of(t: torch.Tensor, out: torch.Tensor, view: ChannelView) -> tuple[torch.Tensor, ChannelView]:
    """Return ``t`` and its view; ``t`` is copied if its layout differs from that of ``out``."""
    own = view_like(t, view)
    if own is None:
        t = torch.empty_like(out, dtype=t.dtype).copy_(t)
        own = view_like(t, view)
        assert own is not None
    return t, own


def _spatial(x: torch.Tensor) -> tuple[int, int] | None:
    """Return the number of positions and the stride between them, or None if the stride is not uniform."""
    size, stride = 1, 0
    for axis in range(x.ndim - 1, 1, -1):
        if x.shape[axis] == 1:
            continue
        if size == 1:
            size, stride = x.shape[axis], x.stride(axis)
        elif x.stride(axis) == stride * size:
            size *= x.shape[axis]
        else:
            return None
    return size, stride
