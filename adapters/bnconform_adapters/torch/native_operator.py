"""torch.native_batch_norm."""

import torch

from bnconform_adapters.torch.function_calls import CallLayer, call_forward_mode, call_twice
from bnconform_adapters.torch.function_calls import defaults as defaults


def batch_norm(x, mean, var, weight, bias, training, momentum, eps):
    return torch.native_batch_norm(x, weight, bias, mean, var, training, momentum, eps)[0]


def Layer(case):
    return CallLayer(case, batch_norm)


def second_order(case):
    return call_twice(case, batch_norm)


def jvp(case):
    return call_forward_mode(case, batch_norm)
