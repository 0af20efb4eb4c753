"""KernelBench's form: Model or ModelNew, get_inputs() and get_init_inputs().

``ModelNew(*get_init_inputs())`` is built with the first whole number of get_init_inputs() replaced by the case's number
of channels. eps and momentum are the built module's, and cannot be chosen. The rank is that of get_inputs(). Gradients
are claimed where y has any: kernels of this benchmark are often written for the forward pass alone.

The form is that of Ouyang et al. 2025, "KernelBench: Can LLMs write efficient GPU kernels?".
"""

from __future__ import annotations

from typing import Any

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.arrays import check_torch_device
from bnconform_adapters.candidate.module import CHANNELS, RANKS, adapter, built
from bnconform_adapters.candidate.statements import Statements
from bnconform_adapters.contract import AdapterError

MODELS = ("ModelNew", "Model")
"""Class names, the first that there is counts."""


def kernelbench_candidate(title: str, where: str, cls: Any, stated: Statements) -> Candidate:
    """The adapter of a KernelBench file.

    Raises
    ------
    AdapterError
        A part of the form is missing, or the model is not a batch norm alone.
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
            f"{where}: get_init_inputs() gives {arguments!r}, without a whole number for num_features; return it there"
        )
    stated.kind = cls
    module = built(lambda: model(stated, CHANNELS), f"{where}: {cls.__name__}(*get_init_inputs())")
    rank = _rank(stated.module, where)
    gradients = ("training", "inference") if _differentiable(module, rank, device) else ()
    form = {"ranks": (rank,), "gradients": gradients}
    return adapter(title, where, frozenset(), device, module, stated, "plain.candidate_kernelbench", **form)


def _rank(module: Any, where: str) -> int:
    """The rank of x."""
    import torch

    try:
        with torch.device("meta"):  # the benchmark's own inputs are gigabytes
            inputs = list(module.get_inputs())
    except Exception:  # what moves its inputs to a device needs them to be real
        inputs = list(built(module.get_inputs, f"{where}: get_inputs()"))
    if len(inputs) != 1 or not isinstance(inputs[0], torch.Tensor) or inputs[0].ndim not in RANKS:
        shown = ", ".join(str(list(getattr(one, "shape", [type(one).__name__]))) for one in inputs) or "nothing"
        raise AdapterError(
            f"{where}: get_inputs() gives {shown}; a batch norm takes one tensor (N, C) or (N, C, *spatial)"
        )
    return int(inputs[0].ndim)


def _differentiable(module: Any, rank: int, device: str) -> bool:
    """Whether y has a gradient; also where the call raises, which the laws then tell."""
    import torch

    x = torch.rand(4, CHANNELS, *[2] * (rank - 2), device=device, requires_grad=True)
    try:
        return bool(module.train()(x).requires_grad)
    except Exception:
        return True
