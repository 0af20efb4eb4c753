"""Population statistics of torch.nn.Module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bnconform_adapters.population.settling import Record, inputs_of
from bnconform_reference.running_statistics import Moments


class TorchPopulations:
    """See :class:`~bnconform_adapters.population.settling.Populations`."""

    def __init__(self, model: Any, forward: Callable[[Any, Any], object] | None) -> None:
        import torch

        self._model = model
        self._forward = forward or (lambda model, batch: model(inputs_of(batch)))
        self._norms = {
            name or type(module).__name__: module
            for name, module in model.named_modules()
            if not isinstance(module, torch.nn.modules.instancenorm._InstanceNorm)
            and isinstance(getattr(module, "running_mean", None), torch.Tensor)
            and isinstance(getattr(module, "running_var", None), torch.Tensor)
        }

    def names(self) -> list[str]:
        """See the protocol."""
        return list(self._norms)

    def run(self, batches: Iterable[Any], record: Record) -> None:
        """See the protocol; every module's mode is restored."""
        import torch

        modes = {module: module.training for module in self._model.modules()}
        hooks = [
            module.register_forward_pre_hook(_recorder(name, record), with_kwargs=True)
            for name, module in self._norms.items()
        ]
        try:
            self._model.eval()
            with torch.no_grad():
                for batch in batches:
                    self._forward(self._model, batch)
        finally:
            for hook in hooks:
                hook.remove()
            for module, training in modes.items():
                module.training = training

    def store(self, name: str, population: Moments) -> None:
        """See the protocol; the variance is unbiased, as PyTorch's running variance is."""
        import torch

        norm, variance = self._norms[name], population.variance(unbiased=True)
        with torch.no_grad():
            norm.running_mean.copy_(torch.from_numpy(population.mean))
            norm.running_var.copy_(torch.from_numpy(variance))

    def result(self) -> Any:
        """See the protocol."""
        return self._model


def _recorder(name: str, record: Record) -> Callable[[Any, Any, Any], None]:
    def hook(_: Any, inputs: Any, named: Any) -> None:
        from bnconform_adapters.torch.tensors import array

        x = array(inputs[0] if inputs else next(iter(named.values())))
        assert x is not None
        record.add(name, x)

    return hook
