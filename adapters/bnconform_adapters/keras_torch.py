"""keras.layers.BatchNormalization on the PyTorch backend, channels on axis 1, by ``stateless_call`` in a module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bnconform_adapters.contract import AnyArray, Case
from bnconform_adapters.keras_layer import CLAIMS, new_layer, on_backend, settings_of
from bnconform_adapters.pytorch import ModuleAdapter, parameter_type
from bnconform_adapters.torch_arrays import LAYOUTS


def _module(case: Case) -> Any:
    """A module with the names of torch's own, around the layer."""
    import torch

    present = [name for name in ("weight", "bias") if getattr(case, name) is not None]
    layer = new_layer(case.dtype, present, 1, **settings_of(case))
    layer.build(case.x.shape)

    def vector(given: AnyArray | None) -> Any:
        return torch.empty(case.channels if given is None else given.size, dtype=parameter_type(case))

    class Module(torch.nn.Module):  # type: ignore[misc]
        running_mean: Any
        running_var: Any

        def __init__(self) -> None:
            super().__init__()
            for name in ("weight", "bias"):  # of the length that is given: Keras is to refuse a wrong one
                parameter = torch.nn.Parameter(vector(getattr(case, name))) if name in present else None
                self.register_parameter(name, parameter)
            for name in ("running_mean", "running_var"):
                self.register_buffer(name, vector(getattr(case, name)))

        def forward(self, x: Any) -> Any:
            statistics = [self.running_mean, self.running_var]
            y, new = layer.stateless_call(list(self.parameters()), statistics, x, training=self.training)
            if self.training:
                self.running_mean, self.running_var = (tensor.detach() for tensor in new)
            return y

    return Module()


def torch() -> ModuleAdapter:
    """The adapter of keras.layers.BatchNormalization under PyTorch."""
    on_backend("torch")
    return ModuleAdapter(
        "keras.torch", replace(CLAIMS, shards=(), layouts=LAYOUTS, gradient_subsets=True), _module, composed=True
    )
