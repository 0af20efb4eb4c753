"""PyTorch: convert arrays to tensors and back, and run the backward pass."""

import numpy as np
import torch

from bnconform_adapters.plain.calling import AROUND, FAR, far_strides, outermost, place, shared, surroundings

HANDED_ON = {"dy", "dx", "dweight", "dbias"}  # autograd's gradient of a sum, or of a broadcast, may be dy itself


def tensor(array):
    """Return a tensor that uses the array's memory."""
    if array is None:
        return None
    if array.dtype.kind == "V":  # bfloat16: torch cannot convert this NumPy dtype
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def laid_out(array, layout="contiguous", device="cpu"):
    """Copy to a tensor in the memory layout `layout`, with NaN around it; not a view to autograd. None stays None."""
    if array is None:
        return None
    if layout == "far" and array.size > 1 and torch.device(device).type != "cpu":
        return laid_out_far(array, device)
    placed = place(array, layout)
    memory, before = surroundings(placed)
    memory, strides = tensor(memory).to(device), [stride // placed.itemsize for stride in placed.strides]
    inside = torch.empty(0, dtype=memory.dtype, device=device)
    return inside.set_(memory.untyped_storage(), before, placed.shape, strides)


def laid_out_far(array, device):
    """Copy to a tensor in the layout "far" on a device; the memory between the rows is allocated too."""
    strides, length = far_strides(array.shape)
    values = tensor(array.copy())
    memory = torch.empty(length, dtype=values.dtype, device=device)
    inside = torch.empty(0, dtype=values.dtype, device=device)
    inside.set_(memory.untyped_storage(), AROUND, array.shape, strides)
    for around, _ in far_rows(memory, inside):
        around.fill_(torch.nan)
    return inside.copy_(values)


def far_rows(memory, tensor):
    """Return pairs for the layout "far": memory that holds a row and the NaN around it, and the row itself."""
    axis = outermost(tensor.shape)
    step, row = tensor.stride(axis), tensor.numel() // tensor.shape[axis]
    return [
        (memory[i * step : i * step + row + 2 * AROUND], one.reshape(-1)) for i, one in enumerate(tensor.unbind(axis))
    ]


def tensor_overrun(tensor):
    """Return True if memory around a tensor, which was NaN, was written."""
    tensor = tensor.detach()
    memory = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(tensor.untyped_storage())
    if memory.numel() < FAR:
        own = tensor[:1] if tensor.ndim and tensor.stride(0) == 0 else tensor
        return differs_around(memory, own, own.stride(), own.storage_offset())
    return any(differs_around(around, row, (1,), AROUND) for around, row in far_rows(memory, tensor))


def differs_around(memory, own, strides, before):
    """Return True if the memory differs in any bit from the tensor with NaN around it."""
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[memory.itemsize]
    due = torch.full_like(memory, torch.nan)
    due.as_strided(own.shape, strides, before).copy_(own)
    return not torch.equal(due.view(bits), memory.view(bits))


def array(tensor):
    """Copy a tensor to a NumPy array; None stays None."""
    if tensor is None:
        return None
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16).copy()
    return tensor.numpy().copy()


def parameter_dtype(case):
    """Return the dtype of parameters and statistics: float32 for half types."""
    return torch.float64 if case.x.dtype == np.float64 else torch.float32


def differentiated(case, x, weight, bias):
    """Set requires_grad on the inputs that the case wants gradients for; return them under the gradients' names."""
    inputs = {"dx": x, "dweight": weight, "dbias": bias}
    inputs = {name: given for name, given in inputs.items() if given is not None}
    for name, given in inputs.items():
        given.requires_grad_(case.dy is not None and name in case.wanted.split())
    return {name: given for name, given in inputs.items() if given.requires_grad}


def rest_of_call(case, sources, inputs, y, running_mean, running_var, composed=False):
    """Return a function that runs the backward pass and returns the results of both passes.

    Gradients of `composed` operations may share memory with dy and with each other; gradients of one kernel may not.
    """
    results = {"y": array(y), "running_mean": array(running_mean), "running_var": array(running_var)}
    dy = laid_out(case.dy, case.dy_layout, inputs["x"].device)
    given = {name: one for name, one in ({"x": inputs["x"], "dy": dy} | inputs).items() if one is not None}

    def finish():
        outputs = {"y": y}
        if dy is not None:
            found = torch.autograd.grad(y, list(sources.values()), dy, allow_unused=True, retain_graph=True)
            outputs |= dict(zip(sources, found))
        pairs = sharing(outputs, given, composed)
        around = [name for name in ("x", "dy") if name in given and tensor_overrun(given[name])]
        gradients = {name: array(outputs[name]) for name in sources}
        return results | gradients | left_as(given) | {"shares": pairs, "overrun": around}

    return finish


def sharing(outputs, given, composed):
    """Return pairs that share memory; gradients of `composed` operations may, as autograd hands them on."""
    pairs = shared(outputs, given, on_one_storage)
    return [pair for pair in pairs if not (composed and set(pair.split(" and ")) <= HANDED_ON)]


def on_one_storage(one, two):
    """Return True if two tensors share memory."""
    return one.untyped_storage().data_ptr() == two.untyped_storage().data_ptr()


def left_as(handed):
    """Copy the inputs as they are now."""
    return {f"{name} after": array(one) for name, one in handed.items()}
