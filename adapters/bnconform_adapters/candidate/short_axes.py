"""Let torch make tensors with short axes, to look at the values of one that would take gigabytes."""

from __future__ import annotations

from typing import Any

LONGEST = 8
"""Longest axis of a tensor."""


def short_axes() -> Any:
    """Return a context in which torch.rand, torch.randn and the like cut the axes that they are given."""
    import torch
    from torch import overrides

    makers = (torch.rand, torch.randn, torch.empty, torch.zeros, torch.ones)

    class ShortAxes(overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in makers:
                sizes = kwargs.pop("size", None) or (
                    args[0] if len(args) == 1 and not isinstance(args[0], int) else args
                )
                args = ([min(int(size), LONGEST) for size in sizes],)
            return func(*args, **kwargs)

    return ShortAxes()
