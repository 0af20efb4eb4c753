"""Functions of a file, called with whatever kind of arrays they take."""

from contextlib import nullcontext
from copy import deepcopy

import numpy as np

from bnconform_adapters.plain.kernel_file import cannot_tell, kernel_file, momentum_of


def functions():
    """The functions under test: those of a file, or of an object in it."""
    _, tested = kernel_file()
    if not hasattr(tested, "forward_training") and not hasattr(tested, "forward_inference"):
        cannot_tell("there is neither forward_training nor forward_inference")
    return tested


def values(found, count):
    """What a function returned, if it is so many values."""
    if not isinstance(found, (tuple, list)) or len(found) != count:
        raise TypeError(f"returned {type(found).__name__}; {count} values are asked for")
    return found


class FunctionsLayer:
    """The arrays that a caller keeps between calls. A subclass says what arrays they are."""

    def settings(self, case):
        """What has to be set while such arrays are made and used."""
        return nullcontext()

    def handed_over(self, array, case):
        """The array as a function gets it."""
        return array

    def __init__(self, case):
        with self.settings(case):
            self.weight, self.bias = (self.placed(one, case.parameters_layout) for one in (case.weight, case.bias))
            statistics = (case.running_mean, case.running_var)
            self.mean, self.var = (self.placed(one, case.statistics_layout) for one in statistics)
        self.momentum = momentum_of(case)

    def restart(self, case):
        with self.settings(case):
            self.weight, self.bias = self.written(self.weight, case.weight), self.written(self.bias, case.bias)
            self.mean, self.var = self.written(self.mean, case.running_mean), self.written(self.var, case.running_var)

    def forward(self, case):
        with self.settings(case):
            return self.forward_pass(case)

    def forward_pass(self, case):
        kernel, x_given = functions(), self.placed(case.x, case.layout)
        x, weight, bias = (self.handed_over(one, case) for one in (x_given, self.weight, self.bias))
        mean, var, saved, new = self.mean, self.var, None, (None, None)
        if case.training:
            found = kernel.forward_training(x, weight, bias, mean, var, momentum=self.momentum, eps=case.eps)
            y, *new, saved = values(found, 4)
            self.mean, self.var = (old if one is None else one for old, one in zip((mean, var), new))
        else:
            y = kernel.forward_inference(x, weight, bias, mean, var, eps=case.eps)
        results = {"running_mean": self.copied(self.mean), "running_var": self.copied(self.var), "y": self.copied(y)}
        moved = {"running_mean": (mean, new[0]), "running_var": (var, new[1])}

        def backward_pass():
            outputs = {name: one for name, (old, one) in moved.items() if one is not old}
            outputs, dy_given = outputs | {"y": y}, None
            if case.dy is not None and hasattr(kernel, "backward" if case.training else "backward_inference"):
                dy_given = self.placed(case.dy, case.dy_layout)
                dy = self.handed_over(dy_given, case)
                if case.training:
                    gradients = kernel.backward(dy, saved)
                else:
                    gradients = kernel.backward_inference(dy, x, weight, mean, var, eps=case.eps)
                outputs |= dict(zip(("dx", "dweight", "dbias"), values(gradients, 3)))
            found = {name: self.copied(outputs.get(name)) for name in ("dx", "dweight", "dbias")}
            found["dweight"] = None if weight is None else found["dweight"]
            found["dbias"] = None if bias is None else found["dbias"]
            inputs = {"x": x_given, "weight": self.weight, "bias": self.bias, "dy": dy_given}
            for name, (old, one) in moved.items():
                if not case.training or not (one is None or one is old):  # else it was to be updated in place
                    inputs[name] = old
            after = {f"{name} after": self.copied(one) for name, one in inputs.items() if one is not None}
            around = [n for n in ("x", "weight", "bias", "dy") if inputs[n] is not None and self.overrun(inputs[n])]
            return results | found | after | {"shares": self.shared(outputs, inputs), "overrun": around}

        def finish():
            with self.settings(case):
                return backward_pass()

        return finish


def contracted_with(layer, case):
    """ddx, laid out as x is, ddweight and ddbias; None beside an absent parameter, zeros where not given."""
    given = ((case.x, case.ddx, case.layout), (case.weight, case.ddweight, ""), (case.bias, case.ddbias, ""))
    return [
        None if like is None else layer.placed(np.zeros_like(like) if one is None else one, layout or "contiguous")
        for like, one, layout in given
    ]


def double_backward(layer, case):
    """What double_backward gives for what forward_training saved."""
    with layer.settings(case):
        kernel, x = functions(), layer.placed(case.x, case.layout)
        arguments = x, layer.weight, layer.bias, layer.mean, layer.var
        *_, saved = values(kernel.forward_training(*arguments, momentum=case.momentum, eps=case.eps), 4)
        dy, vectors = layer.placed(case.dy, case.dy_layout), contracted_with(layer, case)
        ddy, dx, dweight = values(kernel.double_backward(*vectors, dy, saved), 3)
        dweight = None if case.weight is None else dweight
        found = {"ddy": layer.copied(ddy), "dx": layer.copied(dx), "dweight": layer.copied(dweight)}
        return found | given_after(layer, x, vectors) | {"dy after": layer.copied(dy)}


def tangent(layer, case):
    """What jvp gives."""
    with layer.settings(case):
        x, vectors = layer.placed(case.x, case.layout), contracted_with(layer, case)
        found = layer.copied(functions().jvp(x, layer.weight, layer.bias, *vectors, eps=case.eps))
        return {"y_tangent": found} | given_after(layer, x, vectors)


def given_after(layer, x, vectors):
    """What was handed in, as it is now."""
    given = dict(zip(("ddx", "ddweight", "ddbias"), vectors)) | {"x": x, "weight": layer.weight, "bias": layer.bias}
    return {f"{name} after": layer.copied(one) for name, one in given.items() if one is not None}


def over_devices(layers, cases):
    """A step of layers on several devices, a case on each; what they exchange is handed over in this process."""
    kernel, passed, results = functions(), [], []
    with layers[0].settings(cases[0]):
        inputs = [layer.placed(case.x, case.layout) for layer, case in zip(layers, cases)]
        partials = [kernel.partial_statistics(x) for x in inputs]
        for layer, case, x in zip(layers, cases, inputs):
            given = x, layer.weight, layer.bias, layer.mean, layer.var, deepcopy(partials)
            y, mean, var, saved = values(kernel.forward_merged(*given, momentum=layer.momentum, eps=case.eps), 4)
            passed.append(saved)
            moved = [old if new is None else new for old, new in ((layer.mean, mean), (layer.var, var))]
            found = dict(zip(("y", "running_mean", "running_var"), (y, *moved)))
            results.append({name: layer.copied(one) for name, one in found.items()})
        dys = [layer.placed(case.dy, case.dy_layout) for layer, case in zip(layers, cases) if case.dy is not None]
        sums = [kernel.partial_gradients(dy, saved) for dy, saved in zip(dys, passed)]
        for layer, dy, saved, result in zip(layers, dys, passed, results):
            dx, dweight, dbias = values(kernel.backward_merged(dy, saved, deepcopy(sums)), 3)
            dweight, dbias = (
                None if one is None else grad for one, grad in ((layer.weight, dweight), (layer.bias, dbias))
            )
            result |= {"dx": layer.copied(dx), "dweight": layer.copied(dweight), "dbias": layer.copied(dbias)}
        for layer, x, dy, result in zip(layers, inputs, dys or [None] * len(layers), results):
            given = {"x": x, "weight": layer.weight, "bias": layer.bias, "dy": dy}
            result |= {f"{name} after": layer.copied(one) for name, one in given.items() if one is not None}
    return results
