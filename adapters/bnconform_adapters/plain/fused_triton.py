"""bnconform_adapters.fused_triton.FusedBatchNorm: on a GPU where there is one, else in Triton's interpreter."""

from functools import partial

import torch

from bnconform_adapters.fused_triton import (
    ChannelStatistics,
    FusedBatchNorm,
    channel_statistics,
    interpreted,
    merge_channel_statistics,
    normalize_shard,
    shard_gradient_sums,
    shard_input_gradient,
)
from bnconform_adapters.plain.torch_memory import guarded
from bnconform_adapters.plain.torch_tensors import array, differentiated, parameter_dtype, rest_of_call, tensor, twice

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


def shards(*cases):
    layers = [Layer(case).module for case in cases]
    inputs = [PLACED(case.x, case.layout) for case in cases]
    partials = torch.stack([torch.stack(channel_statistics(x)) for x in inputs])
    whole, results = merge_channel_statistics(ChannelStatistics(*partials.unbind(1))), []
    vectors = [(PLACED(case.weight), PLACED(case.bias)) for case in cases]
    passed = [normalize_shard(x, *given, whole, case.eps) for x, given, case in zip(inputs, vectors, cases)]
    for layer, one in zip(layers, passed):
        layer.move_statistics(whole)
        moved = {"running_mean": array(layer.running_mean), "running_var": array(layer.running_var)}
        results.append({"y": array(one.y)} | moved)
    if cases[0].dy is None:
        return results
    dys = [PLACED(case.dy, case.dy_layout) for case in cases]
    parts = [shard_gradient_sums(dy, x, one.mean, one.invstd) for dy, x, one in zip(dys, inputs, passed)]
    sums, count = torch.stack(parts).sum(0), whole.values_per_channel
    for result, dy, x, one, part, (weight, bias) in zip(results, dys, inputs, passed, parts, vectors):
        result["dx"] = array(shard_input_gradient(dy, x, weight, one.mean, one.invstd, sums, count))
        result["dweight"] = None if weight is None else array(part[1].to(weight.dtype))
        result["dbias"] = None if bias is None else array(part[0].to(bias.dtype))
    return results
