"""PyTorch: the modules nn.BatchNorm1d/2d/3d, and nn.functional.batch_norm."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from bnconform_adapters.contract import AnyArray, Case, Claims, Finish, Layer, Outcome
from bnconform_adapters.memory import arrange
from bnconform_reference.dialect import Dialect


def to_tensor(array: AnyArray) -> Any:
    """A tensor that shares the array's memory and strides, bfloat16 included."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: Any) -> AnyArray | None:
    """A contiguous copy of a tensor, or None."""
    import torch

    if tensor is None:
        return None
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return np.array(tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.array(tensor.numpy())


class _Inputs:
    """The tensors of one call, kept to see afterwards what became of them."""

    def __init__(self, case: Case, weight: Any, bias: Any) -> None:
        self.x = to_tensor(arrange(case.x, case.layout))
        self.dy = None if case.dy is None else to_tensor(_writable(arrange(case.dy, case.dy_layout)))
        self.parameters = {"weight": weight, "bias": bias}
        if case.dy is not None:
            self.x.requires_grad_()

    def gradients(self, y: Any) -> dict[str, Any]:
        """dx, dweight and dbias of y, as far as asked for."""
        import torch

        if self.dy is None:
            return {}
        wanted = {"dx": self.x} | {f"d{k}": v for k, v in self.parameters.items() if v is not None}
        gradients = torch.autograd.grad(y, list(wanted.values()), self.dy, allow_unused=True, retain_graph=True)
        return {name: to_array(value) for name, value in zip(wanted, gradients, strict=True)}

    def finish(self, y: Any, running_mean: Any, running_var: Any) -> Finish:
        """What is left to do when y is there; the statistics are taken as they are now."""
        mean, var = to_array(running_mean), to_array(running_var)

        def finish() -> Outcome:
            gradients = self.gradients(y)
            return Outcome(y=to_array(y), running_mean=mean, running_var=var, **gradients, inputs_after=self._after())

        return finish

    def _after(self) -> dict[str, AnyArray]:
        tensors = {"x": self.x, "dy": self.dy, **self.parameters}
        return {name: array for name, t in tensors.items() if (array := to_array(t)) is not None}


def _writable(array: AnyArray) -> AnyArray:
    # torch warns about read-only memory; an expanded view is read-only in NumPy only by caution.
    if not array.flags.writeable:
        return np.lib.stride_tricks.as_strided(np.array(array[:1]), array.shape, array.strides)
    return array


class _Module:
    name = "torch"
    claims = Claims(
        dtypes=("float32", "float64", "float16", "bfloat16"),
        parameters=("both", "neither"),
        default_eps=1e-5,
        default_momentum=0.1,
    )

    def layer(self, case: Case) -> Layer:
        import torch

        classes = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}
        module = getattr(torch.nn, classes[case.x.ndim])(
            case.channels,
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
            dtype=torch.float64 if case.dtype == "float64" else torch.float32,
        )
        with torch.no_grad():
            if case.weight is not None and case.bias is not None:
                module.weight.copy_(to_tensor(case.weight.copy()))
                module.bias.copy_(to_tensor(case.bias.copy()))
            if case.running_mean is not None and case.running_var is not None:
                module.running_mean.copy_(to_tensor(case.running_mean.copy()))
                module.running_var.copy_(to_tensor(case.running_var.copy()))

        def step(case: Case) -> Finish:
            inputs = _Inputs(case, module.weight, module.bias)
            y = module.train(case.training)(inputs.x)
            return inputs.finish(y, module.running_mean, module.running_var)

        return step


class _Functional:
    name = "torch.functional"
    claims = Claims(
        dialect=Dialect(cumulative=False),
        dtypes=("float32", "float64", "float16", "bfloat16"),
        default_eps=1e-5,
        default_momentum=0.1,
    )

    def layer(self, case: Case) -> Layer:
        import torch

        def parameter(array: AnyArray | None) -> Any:
            return None if array is None else to_tensor(array.copy())

        weight, bias = parameter(case.weight), parameter(case.bias)
        running_mean, running_var = parameter(case.running_mean), parameter(case.running_var)
        for tensor in (weight, bias):
            if tensor is not None:
                tensor.requires_grad_()

        def step(case: Case) -> Finish:
            inputs = _Inputs(case, weight, bias)
            y = torch.nn.functional.batch_norm(
                inputs.x, running_mean, running_var, weight, bias, case.training, case.momentum, case.eps
            )
            return inputs.finish(y, running_mean, running_var)

        return step


def module() -> _Module:
    """The adapter of torch.nn.BatchNorm1d, 2d and 3d."""
    return _Module()


def functional() -> _Functional:
    """The adapter of torch.nn.functional.batch_norm."""
    return _Functional()
