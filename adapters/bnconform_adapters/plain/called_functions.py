"""Call a file's functions with the kind of arrays that they take."""

from contextlib import nullcontext
from copy import deepcopy

import numpy as np

from bnconform_adapters.plain.channels import ChannelAxis
from bnconform_adapters.plain.kernel_file import cannot_tell, kernel_file

STATISTICS = ("running_mean", "running_var")
GRADIENTS = ("dx", "dweight", "dbias")
OF_X = ("x", "dy", "y", "dx", "ddx", "ddy", "y_tangent")


def functions(file):
    """Return the module or object whose functions are tested."""
    if not hasattr(file.tested, "forward_training") and not hasattr(file.tested, "forward_inference"):
        cannot_tell("there is neither forward_training nor forward_inference")
    return file.tested


def values(found, names, function):
    """Check that a function returned one value for each name, and return the values."""
    if not isinstance(found, (tuple, list)) or len(found) != len(names):
        shown = f"{len(found)} values" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
        raise TypeError(f"{function} returned {shown}; the contract asks for {', '.join(names)}")
    return found


class FunctionsLayer(ChannelAxis):
    """Parameters and statistics that a caller stores between calls. A subclass defines the kind of arrays."""

    def settings(self, case):
        """Return a context in which these arrays are created and used."""
        return nullcontext()

    def handed_over(self, array, case):
        """Return the array to pass to a function."""
        return array

    def __init__(self, case, file=None):
        self.file = file or kernel_file()
        self.kernel = functions(self.file)
        with self.settings(case):
            self.weight, self.bias = (self.placed(one, case.parameters_layout) for one in (case.weight, case.bias))
            statistics = (case.running_mean, case.running_var)
            self.mean, self.var = (self.placed(one, case.statistics_layout) for one in statistics)
        self.momentum = self.file.momentum_of(case)

    def restart(self, case):
        with self.settings(case):
            self.weight, self.bias = self.written(self.weight, case.weight), self.written(self.bias, case.bias)
            self.mean, self.var = self.written(self.mean, case.running_mean), self.written(self.var, case.running_var)

    def forward(self, case):
        with self.settings(case):
            return self.forward_pass(case)

    def forward_pass(self, case):
        kernel, x_given = self.kernel, self.placed_outward(case.x, case.layout)
        x, weight, bias = (self.handed_over(one, case) for one in (x_given, self.weight, self.bias))
        mean, var, saved, new = self.mean, self.var, None, (None, None)
        if case.training:
            found = kernel.forward_training(x, weight, bias, mean, var, momentum=self.momentum, eps=case.eps)
            y, *new, saved = values(found, ("y", *STATISTICS, "saved"), "forward_training")
            self.mean, self.var = (old if one is None else one for old, one in zip((mean, var), new))
        else:
            y = kernel.forward_inference(x, weight, bias, mean, var, eps=case.eps)
        results = {"running_mean": self.mean, "running_var": self.var, "y": y}
        results = {name: self.returned(one, name) for name, one in results.items()}
        moved = {"running_mean": (mean, new[0]), "running_var": (var, new[1])}
        backward = "backward" if case.training else "backward_inference"

        def backward_pass():
            outputs = {name: one for name, (old, one) in moved.items() if one is not old}
            outputs, dy_given = outputs | {"y": y}, None
            if case.dy is not None and callable(getattr(kernel, backward, None)):
                dy_given = self.placed_outward(case.dy, case.dy_layout)
                dy = self.handed_over(dy_given, case)
                if case.training:
                    gradients = kernel.backward(dy, saved)
                else:
                    gradients = kernel.backward_inference(dy, x, weight, mean, var, eps=case.eps)
                outputs |= dict(zip(GRADIENTS, values(gradients, GRADIENTS, backward)))
            found = self.gradients_of(outputs)
            inputs = {"x": x_given, "weight": self.weight, "bias": self.bias, "dy": dy_given}
            around = [n for n in ("weight", "bias", "x", "dy") if inputs[n] is not None and self.overrun(inputs[n])]
            for name, (old, one) in moved.items():
                if not case.training or not (one is None or one is old):  # otherwise an update in place is correct
                    inputs[name] = old
            shares = self.shared(outputs, inputs)
            return results | found | self.left_as(inputs) | {"shares": shares, "overrun": around}

        def finish():
            with self.settings(case):
                return backward_pass()

        return finish

    def returned(self, found, name):
        """Copy an array as NumPy's, with channels on axis 1; None stays None."""
        copied = self.copied(found, name)
        return self.inward(copied) if name in OF_X else copied

    def gradients_of(self, outputs):
        """Copy dx, dweight and dbias; the last two only if the parameter is present."""
        found = {name: self.returned(outputs.get(name), name) for name in GRADIENTS}
        there = {"dx": True, "dweight": self.weight is not None, "dbias": self.bias is not None}
        return {name: one if there[name] else None for name, one in found.items()}

    def left_as(self, given):
        """Copy the inputs as they are now."""
        return {f"{name} after": self.returned(one, name) for name, one in given.items() if one is not None}


def contracted_with(layer, case):
    """Return ddx, in x's layout, ddweight and ddbias; None for an absent parameter, zeros for a missing vector."""
    given = (
        (layer.outward(case.x), layer.outward(case.ddx), case.layout),
        (case.weight, case.ddweight, ""),
        (case.bias, case.ddbias, ""),
    )
    return [
        None if like is None else layer.placed(np.zeros_like(like) if one is None else one, layout or "contiguous")
        for like, one, layout in given
    ]


def double_backward(build, case, file=None):
    """Call forward_training of a new layer, then double_backward with the saved values."""
    layer = build(case, file)
    with layer.settings(case):
        kernel, x = layer.kernel, layer.placed_outward(case.x, case.layout)
        arguments = x, layer.weight, layer.bias, layer.mean, layer.var
        found = kernel.forward_training(*arguments, momentum=case.momentum, eps=case.eps)
        *_, saved = values(found, ("y", *STATISTICS, "saved"), "forward_training")
        dy, vectors = layer.placed_outward(case.dy, case.dy_layout), contracted_with(layer, case)
        found = values(kernel.double_backward(*vectors, dy, saved), ("ddy", "dx", "dweight"), "double_backward")
        found = {name: layer.returned(one, name) for name, one in zip(("ddy", "dx", "dweight"), found)}
        found["dweight"] = None if case.weight is None else found["dweight"]
        return found | given_after(layer, x, vectors) | layer.left_as({"dy": dy})


def tangent(build, case, file=None):
    """Call jvp for a new layer."""
    layer = build(case, file)
    with layer.settings(case):
        x, vectors = layer.placed_outward(case.x, case.layout), contracted_with(layer, case)
        found = layer.kernel.jvp(x, layer.weight, layer.bias, *vectors, eps=case.eps)
        return {"y_tangent": layer.returned(found, "y_tangent")} | given_after(layer, x, vectors)


def given_after(layer, x, vectors):
    """Copy the inputs as they are now."""
    given = dict(zip(("ddx", "ddweight", "ddbias"), vectors)) | {"x": x, "weight": layer.weight, "bias": layer.bias}
    return layer.left_as(given)


def over_devices(build, *cases, file=None):
    """Run one step of layers on several devices, one case on each; they exchange arrays inside this process."""
    layers = [build(case, file) for case in cases]
    kernel, passed, results = layers[0].kernel, [], []
    with layers[0].settings(cases[0]):
        inputs = [layer.placed_outward(case.x, case.layout) for layer, case in zip(layers, cases)]
        partials = [kernel.partial_statistics(x) for x in inputs]
        for layer, case, x in zip(layers, cases, inputs):
            given = x, layer.weight, layer.bias, layer.mean, layer.var, deepcopy(partials)
            found = kernel.forward_merged(*given, momentum=layer.momentum, eps=case.eps)
            y, *new, saved = values(found, ("y", *STATISTICS, "saved"), "forward_merged")
            passed.append(saved)
            moved = [old if one is None else one for old, one in zip((layer.mean, layer.var), new)]
            found = dict(zip((*STATISTICS, "y"), (*moved, y)))
            results.append({name: layer.returned(one, name) for name, one in found.items()})
        dys = [
            layer.placed_outward(case.dy, case.dy_layout) for layer, case in zip(layers, cases) if case.dy is not None
        ]
        sums = [kernel.partial_gradients(dy, saved) for dy, saved in zip(dys, passed)]
        for layer, dy, saved, result in zip(layers, dys, passed, results):
            found = values(kernel.backward_merged(dy, saved, deepcopy(sums)), GRADIENTS, "backward_merged")
            result |= layer.gradients_of(dict(zip(GRADIENTS, found)))
        for layer, x, dy, result in zip(layers, inputs, dys or [None] * len(layers), results):
            result |= layer.left_as({"x": x, "weight": layer.weight, "bias": layer.bias, "dy": dy})
    return results
