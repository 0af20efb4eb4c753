"""PyTorch's modules nn.BatchNorm1d, 2d and 3d: as they are, in channels-last memory, and under autocast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bnconform_adapters.contract import Case, Claims
from bnconform_adapters.pytorch import ModuleAdapter, parameter_type
from bnconform_adapters.torch_arrays import LAYOUTS

CLAIMS = Claims(
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layouts=LAYOUTS,
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    parameters=("both", "neither"),
    untracked=True,
    gradient_subsets=True,
    bitwise=False,  # vector loops and their tails round differently
    default_eps=1e-5,
    default_momentum=0.1,
)


def _class(case: Case) -> Any:
    import torch

    return {4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}.get(case.x.ndim, torch.nn.BatchNorm1d)


def _built(kind: Any, case: Case) -> Any:
    return kind(
        case.channels,
        eps=case.eps,
        momentum=case.momentum,
        affine=case.weight is not None,
        track_running_stats=case.running_mean is not None,
        dtype=parameter_type(case),
    )


def torch_module(case: Case) -> Any:
    """A new module for the case's channels, eps, momentum and dtypes."""
    return _built(_class(case), case)


def _under_autocast(case: Case) -> Any:
    import torch

    class UnderAutocast(_class(case)):  # type: ignore[misc]
        """The backward pass runs outside, as PyTorch's documentation asks."""

        def forward(self, x: Any) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().forward(x)

    return _built(UnderAutocast, case)


def module() -> ModuleAdapter:
    """The adapter of torch.nn.BatchNorm1d, 2d and 3d."""
    return ModuleAdapter("torch", CLAIMS, torch_module)


def channels_last() -> ModuleAdapter:
    """The adapter of the same modules where x and dy are channels last, as convolutions run fastest."""
    claims = replace(CLAIMS, layouts=("channels_last",), ranks=(4, 5))
    return ModuleAdapter("torch.channels_last", claims, torch_module)


def autocast() -> ModuleAdapter:
    """The adapter of the same modules inside torch.autocast for bfloat16."""
    return ModuleAdapter("torch.autocast", CLAIMS, _under_autocast)
