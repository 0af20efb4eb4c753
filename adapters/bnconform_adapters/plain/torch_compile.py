"""torch.nn.functional.batch_norm under torch.compile."""

import torch

from bnconform_adapters.plain.torch_calls import CallLayer

COMPILED = torch.compile(torch.nn.functional.batch_norm, fullgraph=True, dynamic=True)


def batch_norm(*arguments):
    torch._functorch.config.donated_buffer = False  # so that a backward pass can be run again
    return COMPILED(*arguments)


def Layer(case):
    return CallLayer(case, batch_norm)
