"""Candidate files in KernelBench's form: Model or ModelNew, get_inputs() and get_init_inputs().

The suite builds ``ModelNew(*get_init_inputs())``, with the case's number of channels in place of the first integer. eps
and momentum are fixed by the module. The rank of x is that of get_inputs(), and X9 judges the model at its size.
Gradients are claimed if y has a gradient: kernels of this benchmark often have a forward pass only.

Source of the form: Ouyang et al. 2025, "KernelBench: Can LLMs write efficient GPU kernels?".
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import check_torch_device
from bnconform_adapters.candidate.module_file import CHANNELS, adapter, built
from bnconform_adapters.candidate.own_inputs import SAMPLE, own_input
from bnconform_adapters.candidate.short_axes import short_axes
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.own_input import LARGEST

MODELS = ("ModelNew", "Model")
"""Class names; the first that the file has is used."""


def kernelbench_candidate(title: str, where: str, cls: Any, stated: Statements) -> Candidate:
    """Return the adapter of a KernelBench file.

    Raises
    ------
    AdapterError
        A part of the form is missing, or the model is more than a batch norm.
    """
    from bnconform_adapters.plain.candidate_kernelbench import device_of_models, init_inputs, model

    device = stated.chosen("DEVICE", device_of_models())
    check_torch_device(device, stated.path)
    for needed in ("get_inputs", "get_init_inputs"):
        if not callable(getattr(stated.module, needed, None)):
            raise AdapterError(f"{where} has {' or '.join(MODELS)} but no {needed}(); define it, as KernelBench does")
    arguments, whole = built(lambda: init_inputs(stated), f"{where}: get_init_inputs()")
    if not whole:
        raise AdapterError(
            f"{where}: get_init_inputs() returns {arguments!r}, without a whole number for num_features; add one"
        )
    stated.kind = cls
    module = built(lambda: model(stated, CHANNELS), f"{where}: {cls.__name__}(*get_init_inputs())")
    shape, dtype = _made(stated.module, where)
    rank = len(shape)
    gradients = ("training", "inference") if _differentiable(module, rank, device) else ()
    own, remark = own_input(shape, dtype, _sample(stated.module, math.prod(shape)))
    remarks = (remark,) if remark else ()
    form = {"ranks": (rank,), "gradients": gradients, "own": own}
    return adapter(
        title, where, frozenset(), device, module, stated, "plain.candidate_kernelbench", remarks=remarks, **form
    )


def _made(module: Any, where: str) -> tuple[tuple[int, ...], str]:
    """Return the shape and the dtype of what get_inputs() makes."""
    import torch

    try:
        with torch.device("meta"):  # the benchmark's own inputs are gigabytes
            inputs = list(module.get_inputs())
    except Exception:  # a function that moves its inputs to a device needs real ones
        inputs = list(built(module.get_inputs, f"{where}: get_inputs()"))
    if len(inputs) != 1 or not isinstance(inputs[0], torch.Tensor) or inputs[0].ndim not in RANKS:
        shown = ", ".join(str(list(getattr(one, "shape", [type(one).__name__]))) for one in inputs) or "nothing"
        raise AdapterError(
            f"{where}: get_inputs() returns {shown}; a batch norm takes one tensor (N, C) or (N, C, *spatial)"
        )
    return tuple(inputs[0].shape), str(inputs[0].dtype).removeprefix("torch.")


def _sample(module: Any, size: int) -> NDArray[Any]:
    """Return some values of what get_inputs() makes, always the same ones; a large tensor is made with short axes."""
    import torch

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        try:
            with contextlib.nullcontext() if size <= LARGEST else short_axes():
                (x,) = module.get_inputs()
        except Exception:  # it does not work with short axes
            x = torch.rand(SAMPLE)  # as KernelBench's own files do
        values = x.detach().flatten()
        steps = max(1, values.numel() // SAMPLE)
        return np.asarray(values[::steps].to("cpu", torch.float64).numpy())


def _differentiable(module: Any, rank: int, device: str) -> bool:
    """Return True if y has a gradient, or if the call raises: the laws then report the exception."""
    import torch

    x = torch.rand(4, CHANNELS, *[2] * (rank - 2), device=device, requires_grad=True)
    try:
        return bool(module.train()(x).requires_grad)
    except Exception:
        return True
