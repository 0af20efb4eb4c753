"""Candidate files in KernelBench's form: Model or ModelNew, get_inputs() and get_init_inputs().

The suite builds ``ModelNew(*get_init_inputs())``, with the case's number of channels in place of the first integer. eps
and momentum are fixed by the module. The rank of x is that of get_inputs(). Gradients are claimed if y has a gradient:
kernels of this benchmark often have a forward pass only.

Source of the form: Ouyang et al. 2025, "KernelBench: Can LLMs write efficient GPU kernels?".
"""

from __future__ import annotations

from typing import Any

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import check_torch_device
from bnconform_adapters.candidate.module_file import CHANNELS, adapter, built
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.claim_rules import RANKS
from bnconform_adapters.errors import AdapterError

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
    rank = _rank(stated.module, where)
    gradients = ("training", "inference") if _differentiable(module, rank, device) else ()
    form = {"ranks": (rank,), "gradients": gradients}
    return adapter(title, where, frozenset(), device, module, stated, "plain.candidate_kernelbench", **form)


def _rank(module: Any, where: str) -> int:
    """Return the rank of x."""
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
    return int(inputs[0].ndim)


def _differentiable(module: Any, rank: int, device: str) -> bool:
    """Return True if y has a gradient, or if the call raises: the laws then report the exception."""
    import torch

    x = torch.rand(4, CHANNELS, *[2] * (rank - 2), device=device, requires_grad=True)
    try:
        return bool(module.train()(x).requires_grad)
    except Exception:
        return True
