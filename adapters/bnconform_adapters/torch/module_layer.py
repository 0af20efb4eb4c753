"""Calls of a torch.nn.Module that has the parameters and buffers of torch.nn.BatchNorm, maybe under other names."""

from operator import attrgetter

import torch

from bnconform_adapters.torch.derivatives import forward_mode, twice
from bnconform_adapters.torch.tensors import differentiated, laid_out, rest_of_call, tensor


class ModuleLayer:
    """A built module, loaded with a case's parameters and statistics.

    `names` maps weight, bias, running_mean and running_var, if present, to the module's own names; a dot separates a
    submodule.
    """

    composed = False

    def __init__(self, module, case, device="cpu", names=None):
        self.module, self.device = module.to(device), device
        self.names = names or {name: name for name in ("weight", "bias", "running_mean", "running_var")}
        self.load(case)

    def load(self, case):
        """Load parameters and statistics, and set the count of batches to 0."""
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
        """Return the module's current tensor: a module may replace a buffer by a new tensor."""
        return attrgetter(self.names[name])(self.module) if name in self.names else None

    def call(self, module, x):
        return module(x)

    def forward(self, case):
        x, weight, bias = laid_out(case.x, case.layout, self.device), self.own("weight"), self.own("bias")
        sources = differentiated(case, x, weight, bias)
        y = self.call(self.module.train(case.training), x)
        inputs = {"x": x, "weight": weight, "bias": bias}
        return rest_of_call(case, sources, inputs, y, self.own("running_mean"), self.own("running_var"), self.composed)


def module_function(layer, case):
    """Return y as a function of x and the parameters."""
    module = layer.module.train(case.training)

    def function(x, parameters):
        given = {layer.names[name]: one for name, one in parameters.items()}
        return layer.call(lambda x: torch.func.functional_call(module, given, (x,)), x)

    return function


def module_twice(build, case, **how):
    """Differentiate the backward pass of a module's new layer, see `twice`."""
    layer = build(case, **how)
    return twice(case, module_function(layer, case), layer.device)


def module_forward_mode(build, case, **how):
    """Compute the tangent of y of a module's new layer, see `forward_mode`."""
    layer = build(case, **how)
    return forward_mode(case, module_function(layer, case), layer.device)
