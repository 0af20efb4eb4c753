"""PyTorch's double backward and forward mode, for a batch norm that is a function of x and the parameters."""

import torch
from torch.autograd import forward_ad

from bnconform_adapters.torch.tensors import array, laid_out, left_as, tensor


def twice(case, function, device="cpu"):
    """Differentiate sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight.

    Vectors that are None in the case are left out, so that the implementation gets an undefined gradient.
    """
    x, parameters = arguments(case, device)
    dy = laid_out(case.dy, case.dy_layout, device)
    inputs = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
    for one in (dy, *inputs.values()):
        one.requires_grad_()
    y = function(x, parameters)
    once = dict(zip(inputs, torch.autograd.grad(y, list(inputs.values()), dy, create_graph=True)))
    given = {name: one for name, one in vectors(case, device).items() if name in once}
    sources = {"ddy": dy} | {name: one for name, one in inputs.items() if name != "dbias"}
    found = torch.autograd.grad(
        [once[name] for name in given],
        list(sources.values()),
        list(given.values()),
        allow_unused=True,
        materialize_grads=True,
    )
    handed = {"x": x, "dy": dy} | parameters | {f"d{name}": one for name, one in given.items()}
    return {name: array(gradient) for name, gradient in zip(sources, found)} | left_as(handed)


def forward_mode(case, function, device="cpu"):
    """Compute the tangent of y, for ddx, ddweight and ddbias as tangents of x, weight and bias."""
    x, parameters = arguments(case, device)
    tangents = vectors(case, device)
    with forward_ad.dual_level():
        inputs = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
        duals = {
            name: forward_ad.make_dual(one, tangents[name]) if name in tangents else one for name, one in inputs.items()
        }
        y = function(duals.pop("dx"), {name[1:]: dual for name, dual in duals.items()})
        found = {"y_tangent": array(forward_ad.unpack_dual(y).tangent)}
    return found | left_as({"x": x} | parameters | {f"d{name}": one for name, one in tangents.items()})


def arguments(case, device):
    """Return x, and the parameters that are present."""
    x, given = laid_out(case.x, case.layout, device), {"weight": case.weight, "bias": case.bias}
    return x, {name: tensor(one.copy()).to(device) for name, one in given.items() if one is not None}


def vectors(case, device):
    """Return ddx, in x's layout, ddweight and ddbias as dx, dweight and dbias; None is left out."""
    made = {
        "dx": laid_out(case.ddx, case.layout, device),
        "dweight": laid_out(case.ddweight, device=device),
        "dbias": laid_out(case.ddbias, device=device),
    }
    return {name: one for name, one in made.items() if one is not None}
