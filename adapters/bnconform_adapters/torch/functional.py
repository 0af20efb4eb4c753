"""torch.nn.functional.batch_norm."""

from functools import partial

import torch

from bnconform_adapters.torch.function_calls import CallLayer, call_forward_mode, call_twice
from bnconform_adapters.torch.function_calls import defaults as defaults


def batch_norm(*arguments):
    return torch.nn.functional.batch_norm(*arguments)


Layer = partial(CallLayer, batch_norm=batch_norm)
second_order = partial(call_twice, batch_norm=batch_norm)
jvp = partial(call_forward_mode, batch_norm=batch_norm)
