"""PyTorch's double backward and forward mode of a batch norm given as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bnconform_adapters.contract import AnyArray, Case, Outcome
from bnconform_adapters.torch_arrays import place_tensor, to_array, to_tensor

Function = Callable[[Any, Mapping[str, Any]], Any]
"""y from x and the parameters that are present, under the names of the Case's fields."""


def second_order(case: Case, function: Function, device: str = "cpu") -> Outcome:
    """Gradients of the backward pass, by torch.autograd.grad of one that kept its graph.

    What the case does not contract with is left out, so that the implementation sees an undefined gradient there.
    """
    import torch

    assert case.dy is not None
    x, parameters = _arguments(case, device)
    dy = place_tensor(case.dy, case.dy_layout, device).array
    inputs = {"dx": x, **{f"d{name}": tensor for name, tensor in parameters.items()}}
    for tensor in (dy, *inputs.values()):
        tensor.requires_grad_()
    y = function(x, parameters)
    gradients = dict(zip(inputs, torch.autograd.grad(y, list(inputs.values()), dy, create_graph=True), strict=True))
    cotangents = {name: vector for name, vector in _cotangents(case, device).items() if name in gradients}
    sources = {"ddy": dy, **{name: tensor for name, tensor in inputs.items() if name != "dbias"}}
    found = torch.autograd.grad(
        [gradients[name] for name in cotangents],
        list(sources.values()),
        list(cotangents.values()),
        allow_unused=True,
        materialize_grads=True,
    )
    named: dict[str, Any] = {name: to_array(tensor) for name, tensor in zip(sources, found, strict=True)}
    return Outcome(**named, inputs_after=_after(x=x, dy=dy, **parameters, **_by_field(cotangents)))


def jvp(case: Case, function: Function, device: str = "cpu") -> Outcome:
    """The tangent of y, by torch.autograd.forward_ad; what has no tangent in the case is no dual number."""
    from torch.autograd import forward_ad

    x, parameters = _arguments(case, device)
    tangents = _cotangents(case, device)
    with forward_ad.dual_level():

        def dual(name: str, primal: Any) -> Any:
            return forward_ad.make_dual(primal, tangents[name]) if name in tangents else primal

        y = function(dual("dx", x), {name: dual(f"d{name}", tensor) for name, tensor in parameters.items()})
        tangent = to_array(forward_ad.unpack_dual(y).tangent)
    return Outcome(y_tangent=tangent, inputs_after=_after(x=x, **parameters, **_by_field(tangents)))


def _by_field(cotangents: Mapping[str, Any]) -> dict[str, Any]:
    return {f"d{name}": vector for name, vector in cotangents.items()}


def _after(**given: Any) -> dict[str, AnyArray]:
    """What was handed in, as it is now."""
    return {name: array for name, tensor in given.items() if (array := to_array(tensor)) is not None}


def _arguments(case: Case, device: str) -> tuple[Any, dict[str, Any]]:
    given = {"weight": case.weight, "bias": case.bias}
    parameters = {name: to_tensor(array.copy()).to(device) for name, array in given.items() if array is not None}
    return place_tensor(case.x, case.layout, device).array, parameters


def _cotangents(case: Case, device: str) -> dict[str, Any]:
    given = {"dx": case.ddx, "dweight": case.ddweight, "dbias": case.ddbias}
    return {
        name: place_tensor(array, case.layout if name == "dx" else "contiguous", device).array
        for name, array in given.items()
        if array is not None
    }
