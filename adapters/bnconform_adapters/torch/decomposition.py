"""The decompositions of native_batch_norm and its backward pass in torch._decomp."""

import torch
from torch._decomp import decomposition_table

from bnconform_adapters.torch.function_calls import CallLayer
from bnconform_adapters.torch.function_calls import defaults as defaults


class Decomposed(torch.autograd.Function):
    """An autograd function of the two decompositions."""

    @staticmethod
    def forward(context, x, weight, bias, mean, var, *rest):
        decomposition = decomposition_table[torch.ops.aten.native_batch_norm.default]
        y, save_mean, save_invstd = decomposition(x, weight, bias, mean, var, *rest)
        needed = (None, None) if rest[0] else (mean, var)
        context.save_for_backward(x, weight, *needed, save_mean, save_invstd)
        context.rest, context.has_bias = rest, bias is not None
        return y

    @staticmethod
    def backward(context, dy):
        decomposition = decomposition_table[torch.ops.aten.native_batch_norm_backward.default]
        training, _, eps = context.rest
        wanted = [context.needs_input_grad[0], context.saved_tensors[1] is not None, context.has_bias]
        return (*decomposition(dy, *context.saved_tensors, training, eps, wanted), None, None, None, None, None)


def batch_norm(x, mean, var, weight, bias, *rest):
    return Decomposed.apply(x, weight, bias, mean, var, *rest)


def Layer(case):
    return CallLayer(case, batch_norm)
