"""bnconform_adapters.fused_triton.FusedBatchNorm: on a GPU if one is present, else in Triton's interpreter."""

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
from bnconform_adapters.torch.module_layer import ModuleLayer, module_forward_mode, module_twice
from bnconform_adapters.torch.tensors import array, laid_out, parameter_dtype

DEVICE = "cpu" if interpreted else "cuda"


def Layer(case):
    module = FusedBatchNorm(
        case.x.shape[1],
        eps=case.eps,
        momentum=case.momentum,
        affine=case.weight is not None,
        bias=case.bias is not None,
        track_running_stats=case.running_mean is not None,
        dtype=parameter_dtype(case),
    )
    return ModuleLayer(module, case, DEVICE)


second_order = partial(module_twice, Layer)
jvp = partial(module_forward_mode, Layer)


def shards(*cases):
    """Run one step over shards in one process; stacking replaces the exchange between devices."""
    placed = partial(laid_out, device=DEVICE)
    layers = [Layer(case).module for case in cases]
    inputs = [placed(case.x, case.layout) for case in cases]
    partials = torch.stack([torch.stack(channel_statistics(x)) for x in inputs])
    whole, results = merge_channel_statistics(ChannelStatistics(*partials.unbind(1))), []
    vectors = [(placed(case.weight), placed(case.bias)) for case in cases]
    passed = [normalize_shard(x, *given, whole, case.eps) for x, given, case in zip(inputs, vectors, cases)]
    for layer, one in zip(layers, passed):
        layer.move_statistics(whole)
        moved = {"running_mean": array(layer.running_mean), "running_var": array(layer.running_var)}
        results.append({"y": array(one.y)} | moved)
    if cases[0].dy is None:
        return results
    dys = [placed(case.dy, case.dy_layout) for case in cases]
    parts = [shard_gradient_sums(dy, x, one.mean, one.invstd) for dy, x, one in zip(dys, inputs, passed)]
    sums, count = torch.stack(parts).sum(0), whole.values_per_channel
    for result, dy, x, one, part, (weight, bias) in zip(results, dys, inputs, passed, parts, vectors):
        result["dx"] = array(shard_input_gradient(dy, x, weight, one.mean, one.invstd, sums, count))
        result["dweight"] = None if weight is None else array(part[1].to(weight.dtype))
        result["dbias"] = None if bias is None else array(part[0].to(bias.dtype))
    return results


def defaults():
    """Return the state of a new layer, and a function that trains it."""
    layer = FusedBatchNorm(4).to(DEVICE)
    return {
        "made": "FusedBatchNorm(4)",
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": layer.running_mean[0],
        "variance": layer.running_var[0],
        "train": lambda x: array(layer(laid_out(x, device=DEVICE))),
    }
