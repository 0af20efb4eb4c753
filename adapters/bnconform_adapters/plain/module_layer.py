"""A torch.nn.Module of a file, with its own names of what torch.nn.BatchNorm has."""

from functools import partial
from operator import attrgetter

import torch

from bnconform_adapters.plain.kernel_file import cannot_tell, stated
from bnconform_adapters.plain.torch_memory import guarded, overrun
from bnconform_adapters.plain.torch_tensors import differentiated, forward_mode, rest_of_call, tensor, twice

HANDED_ON = {"dy", "dx", "dweight", "dbias"}  # autograd's gradient of a sum, or of a broadcast, may be dy itself


def own_names(module):
    """What a module calls its weight, bias, running_mean and running_var: as STATE says, or by how a name ends."""
    entries = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    names = {}
    for name in ("weight", "bias", "running_mean", "running_var"):
        found = [entry for entry in entries if entry.endswith(f".{name}")]
        if name in entries or name in stated("STATE", {}):
            found = [stated("STATE", {}).get(name, name)]
        if len(found) > 1 or not (found or name in ("weight", "bias")):
            cannot_tell(f"the module has {len(found)} entries called {name}")
        if found:
            names[name] = found[0]
    return names


class ModuleLayer:
    """A module for a case, with its parameters and statistics loaded; `usual` is one built by its defaults."""

    def __init__(self, module, usual, device, case):
        self.module, self.device, self.names = module, device, own_names(usual)
        self.load(case)

    def load(self, case):
        arrays = {own: getattr(case, name) for name, own in self.names.items()}
        state = {own: tensor(array.copy()) for own, array in arrays.items() if array is not None}
        rest = {own: one for own, one in self.module.state_dict().items() if own not in arrays}
        state |= {own: torch.zeros_like(t) if own.endswith("num_batches_tracked") else t for own, t in rest.items()}
        self.module.load_state_dict(state)

    def restart(self, case):
        if case.before == "reset" and hasattr(self.module, "reset_running_stats"):
            self.module.reset_running_stats()
        else:
            self.load(case)

    def own(self, name):
        """The module's tensor for one of BatchNorm's names, as it is now."""
        return attrgetter(self.names[name])(self.module) if name in self.names else None

    def forward(self, case):
        placed = partial(guarded, device=self.device)
        x, dy = placed(case.x, case.layout), placed(case.dy, case.dy_layout)
        weight, bias = self.own("weight"), self.own("bias")
        sources = differentiated(case, x, weight, bias)
        y = self.module.train(case.training)(x)
        if not isinstance(y, torch.Tensor):
            raise TypeError(f"returned a {type(y).__name__} where a tensor is asked for")
        inputs = {"x": x, "weight": weight, "bias": bias}
        statistics = self.own("running_mean"), self.own("running_var")
        finish = rest_of_call(case, sources, inputs, y, *statistics, dy)

        def finish_and_look():
            found = finish()
            pairs = [pair for pair in found["shares"] if not set(pair.split(" and ")) <= HANDED_ON]
            around = [name for name, one in (("x", x), ("dy", dy)) if one is not None and overrun(one)]
            return found | {"shares": pairs, "overrun": around}

        return finish_and_look


def function_of(layer, case):
    """y from x and the parameters."""
    module = layer.module.train(case.training)
    return lambda x, parameters: torch.func.functional_call(
        module, {layer.names[name]: one for name, one in parameters.items()}, (x,)
    )


def double_backward(layer, case):
    return twice(case, function_of(layer, case), partial(guarded, device=layer.device))


def tangent(layer, case):
    return forward_mode(case, function_of(layer, case), partial(guarded, device=layer.device))
