"""A torch.nn.Module of a file, with its own names of what torch.nn.BatchNorm has."""

import torch

from bnconform_adapters.plain.calling import wrong_kind
from bnconform_adapters.plain.kernel_file import cannot_tell, stated
from bnconform_adapters.torch.derivatives import forward_mode, twice
from bnconform_adapters.torch.module_layer import ModuleLayer, module_function
