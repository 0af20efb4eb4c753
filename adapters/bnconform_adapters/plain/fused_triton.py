"""bnconform_adapters.fused_triton.FusedBatchNorm: on a GPU where there is one, else in Triton's interpreter."""

from functools import partial

import torch

from bnconform_adapters.fused_triton import FusedBatchNorm, interpreted
from bnconform_adapters.plain.torch_memory import guarded
from bnconform_adapters.plain.torch_tensors import differentiated, parameter_dtype, rest_of_call, tensor, twice

DEVICE = "cpu" if interpreted else "cuda"
PLACED = partial(guarded, device=DEVICE)


class Layer:
    """The module, with the case's parameters and statistics loaded."""

    def __init__(self, case):
        self.module = FusedBatchNorm(
            case.x.shape[1],
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            bias=case.bias is not None,
            track_running_stats=case.running_mean is not None,
            dtype=parameter_dtype(case),
        ).to(DEVICE)
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
        module, x = self.module, PLACED(case.x, case.layout)
        sources = differentiated(case, x, module.weight, module.bias)
        y = module.train(case.training)(x)
        inputs = {"x": x, "weight": module.weight, "bias": module.bias}
        dy = PLACED(case.dy, case.dy_layout)
        return rest_of_call(case, sources, inputs, y, module.running_mean, module.running_var, dy)


def second_order(case):
    module = Layer(case).module.train(case.training)
    return twice(case, lambda x, parameters: torch.func.functional_call(module, parameters, (x,)), PLACED)
