"""How a tensor's memory looks to the kernels: samples by channels by positions, with three strides."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ChannelView:
    """A (N, C, \\*spatial) tensor seen as ``rows x channels x columns``.

    ``rows`` is 1 where samples and positions share one uniform stride: channels-last memory,
    (N, C) inputs, one sample, one channel. The axis that is contiguous is the columns, unless
    ``channels_last``, where it is the channels.
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
        """Number of values that a channel's statistics are taken over."""
        return self.rows * self.columns

    @property
    def reach(self) -> int:
        """Largest element offset that the view touches."""
        return (
            (self.rows - 1) * self.row_stride
            + (self.channels - 1) * self.channel_stride
            + (self.columns - 1) * self.column_stride
        )


def channel_view(x: torch.Tensor, *, fold: bool = True) -> ChannelView | None:
    """View a non-empty tensor without copying, or None where its strides do not allow it.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, \\*spatial), at least one element.
    fold : bool
        Whether samples and positions become one axis where a uniform stride allows it.
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
        # One channel whose positions are apart still reads in one sweep.
        if not (rows == 1 and channels == 1):
            return None
        by_columns = True
    return ChannelView(rows, channels, columns, row_stride, channel_stride, column_stride, not by_columns)


def view_like(t: torch.Tensor, view: ChannelView) -> ChannelView | None:
    """View ``t`` (same shape) with the rows, columns and contiguous axis of ``view``, or None."""
    own = channel_view(t, fold=view.rows == 1)
    if own is None:
        return None
    same = (own.rows, own.columns, own.channels_last) == (view.rows, view.columns, view.channels_last)
    return own if same else None


def viewable(x: torch.Tensor) -> tuple[torch.Tensor, ChannelView, torch.Tensor, ChannelView]:
    """``x`` and an empty tensor for a result of its layout, both with their views.

    ``x`` comes back as it is wherever its memory is NCHW-like or channels-last, as a contiguous
    copy otherwise.
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
    """``t`` and its view, copied into the layout of ``out`` if it has another."""
    own = view_like(t, view)
    if own is None:
        t = torch.empty_like(out, dtype=t.dtype).copy_(t)
        own = view_like(t, view)
        assert own is not None
    return t, own


def _spatial(x: torch.Tensor) -> tuple[int, int] | None:
    """Number of positions and the one stride between them, or None if there is no such stride."""
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
