"""PyTorch: tensors from arrays and back, and the backward pass."""

import numpy as np
import torch

from bnconform_adapters.plain.calling import place


def tensor(array):
    """A tensor in the array's memory."""
    if array is None:
        return None
    if not array.flags.writeable:  # an expanded one; torch warns of memory that NumPy calls read-only
        array = np.lib.stride_tricks.as_strided(array[:1].copy(), array.shape, array.strides)
    if array.dtype.name == "bfloat16":  # torch knows no such NumPy type
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def laid_out(array, layout="contiguous"):
    """A tensor, or None, that lies in memory as `layout` says."""
    return tensor(place(array, layout))


def array(tensor):
    """A copy of a tensor, or None."""
    if tensor is None:
        return None
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16).copy()
    return tensor.numpy().copy()


def parameter_dtype(case):
    """float32 beside half types."""
    return torch.float64 if case.x.dtype == np.float64 else torch.float32


def differentiated(case, x, weight, bias):
    """The inputs to differentiate by, which are marked so, under the names of their gradients."""
    inputs = {"dx": x, "dweight": weight, "dbias": bias}
    inputs = {name: given for name, given in inputs.items() if given is not None}
    for name, given in inputs.items():
        given.requires_grad_(case.dy is not None and name in case.wanted.split())
    return {name: given for name, given in inputs.items() if given.requires_grad}


def rest_of_call(case, sources, inputs, y, running_mean, running_var, dy=None):
    """A function that adds the results of the backward pass to those of the forward pass."""
    results = {"y": array(y), "running_mean": array(running_mean), "running_var": array(running_var)}
    dy = laid_out(case.dy, case.dy_layout) if dy is None else dy

    def finish():
        found, outputs = {}, {"y": y}
        if dy is not None:
            given = torch.autograd.grad(y, list(sources.values()), dy, allow_unused=True, retain_graph=True)
            outputs |= dict(zip(sources, given))
            found = {name: array(gradient) for name, gradient in zip(sources, given)}
        given = {name: one for name, one in (inputs | {"dy": dy}).items() if one is not None}
        return results | found | left_as(given) | {"shares": shared(outputs, given)}

    return finish


def shared(outputs, inputs):
    """Pairs of an output and what else shares its memory."""
    present = [(name, one) for name, one in outputs.items() if one is not None and one.numel()]
    others = present + [(name, one) for name, one in inputs.items() if one.numel()]
    return [
        f"{name} and {other}"
        for i, (name, one) in enumerate(present)
        for other, two in others[i + 1 :]
        if one.untyped_storage().data_ptr() == two.untyped_storage().data_ptr()
    ]


def twice(case, function, placed=laid_out):
    """Gradients of sum(ddx dx) + sum(ddweight dweight) + sum(ddbias dbias) by dy, x and weight."""
    x, parameters = arguments(case, placed)
    dy = placed(case.dy, case.dy_layout)
    inputs = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
    for one in (dy, *inputs.values()):
        one.requires_grad_()
    y = function(x, parameters)
    once = dict(zip(inputs, torch.autograd.grad(y, list(inputs.values()), dy, create_graph=True)))
    given = {name: one for name, one in vectors(case, placed).items() if name in once}
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


def left_as(handed):
    """What was handed in, as it is now."""
    return {f"{name} after": array(one) for name, one in handed.items()}


def forward_mode(case, function, placed=laid_out):
    """The tangent of y, for ddx, ddweight and ddbias as tangents of x, weight and bias."""
    from torch.autograd import forward_ad

    x, parameters = arguments(case, placed)
    tangents = vectors(case, placed)
    with forward_ad.dual_level():
        inputs = {"dx": x} | {f"d{name}": parameter for name, parameter in parameters.items()}
        duals = {
            name: forward_ad.make_dual(one, tangents[name]) if name in tangents else one for name, one in inputs.items()
        }
        y = function(duals.pop("dx"), {name[1:]: dual for name, dual in duals.items()})
        found = {"y_tangent": array(forward_ad.unpack_dual(y).tangent)}
    return found | left_as({"x": x} | parameters | {f"d{name}": one for name, one in tangents.items()})


def arguments(case, placed):
    """x, and the parameters that are present."""
    x, given = placed(case.x, case.layout), {"weight": case.weight, "bias": case.bias}
    return x, {name: tensor(one.copy()).to(x.device) for name, one in given.items() if one is not None}


def vectors(case, placed):
    """ddx, laid out as x is, ddweight and ddbias, where present, under the names of what they multiply."""
    made = {"dx": placed(case.ddx, case.layout), "dweight": placed(case.ddweight), "dbias": placed(case.ddbias)}
    return {name: one for name, one in made.items() if one is not None}
