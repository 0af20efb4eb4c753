"""torch.nn.functional.batch_norm under torch.vmap over two models; the results are those of the first."""

from functools import partial

import torch

from bnconform_adapters.torch.function_calls import CallLayer, call_forward_mode, call_twice
from bnconform_adapters.torch.function_calls import defaults as defaults


def batch_norm(x, mean, var, weight, bias, training, momentum, eps):
    def one_model(x, mean, var, weight, bias):
        return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training, momentum, eps)

    tensors = (x, mean, var, weight, bias)
    models = [None if one is None else torch.stack([one, 1 - one.detach()]) for one in tensors]
    y = torch.vmap(one_model, in_dims=tuple(None if one is None else 0 for one in tensors))(*models)[0]
    for own, both in ((mean, models[1]), (var, models[2])):
        if training and both is not None:
            own.copy_(both[0])
    return y


Layer = partial(CallLayer, batch_norm=batch_norm)
second_order = partial(call_twice, batch_norm=batch_norm)
jvp = partial(call_forward_mode, batch_norm=batch_norm)
