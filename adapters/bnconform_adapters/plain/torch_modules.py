"""torch.nn.BatchNorm1d, 2d and 3d, called as a wrapper wants."""

import torch

from bnconform_adapters.plain.torch_tensors import (
    differentiated,
    laid_out,
    parameter_dtype,
    rest_of_call,
    tensor,
)


class ModuleLayer:
    """The module, with the case's parameters and statistics loaded; `called` says how it is called."""

    def __init__(self, case, called=lambda module: module):
        kind = {4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}.get(case.x.ndim, torch.nn.BatchNorm1d)
        self.module = kind(
            case.x.shape[1],
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
            dtype=parameter_dtype(case),
        )
        self.called = called(self.module)
        self.load(case)

    def load(self, case):
        state = {"weight": case.weight, "bias": case.bias}
        state |= {"running_mean": case.running_mean, "running_var": case.running_var}
        state = {name: tensor(array.copy()) for name, array in state.items() if array is not None}
        if case.running_mean is not None:
            state["num_batches_tracked"] = torch.tensor(0)
        self.module.load_state_dict(state)

    def restart(self, case):
        if case.before == "reset":
            self.module.reset_running_stats()
        else:
            self.load(case)

    def forward(self, case):
        module, x = self.module, laid_out(case.x, case.layout)
        sources = differentiated(case, x, module.weight, module.bias)
        y = self.called.train(case.training)(x)
        inputs = {"x": x, "weight": module.weight, "bias": module.bias}
        return rest_of_call(case, sources, inputs, y, module.running_mean, module.running_var)


def function_of(layer, case):
    """y from x and the parameters."""
    layer.called.train(case.training)
    prefix = "" if layer.called is layer.module else "module."
    return lambda x, parameters: torch.func.functional_call(
        layer.called, {prefix + name: one for name, one in parameters.items()}, (x,)
    )
