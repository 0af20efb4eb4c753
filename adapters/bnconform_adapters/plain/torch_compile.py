"""torch.nn.functional.batch_norm under torch.compile."""

import torch

from bnconform_adapters.plain.torch_calls import CallLayer


@torch.compile(fullgraph=True, dynamic=True)
def batch_norm(*arguments):
    return torch.nn.functional.batch_norm(*arguments)


def Layer(case):
    return CallLayer(case, batch_norm)
