"""Functions on NumPy arrays in a file."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import numpy as np

from bnconform_adapters.plain.calling import place

SPEC, MOMENTUM_WEIGHS = "kernel.py", "new"


@cache
def functions():
    """What is tested: the functions of a file, PATH.py, or those of an object in it, PATH.py:NAME."""
    file, _, name = SPEC.partition(".py:")
    path = Path(f"{file.removesuffix('.py')}.py")
    if not path.is_file():
        print("cannot tell: no such file:", path)
        sys.exit(125)
    sys.path.insert(0, str(path.parent.resolve()))  # a kernel may be several files
    spec = importlib.util.spec_from_file_location("kernel_under_test", path)
    module = sys.modules["kernel_under_test"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name) if name else module


def handed_over(array, case):
    """The array as the function gets it."""
    if array is not None and case.read_only:
        array = array.view()
        array.flags.writeable = False
    return array


class Layer:
    """The arrays that a caller keeps between calls."""

    def __init__(self, case):
        self.weight, self.bias = (place(one, case.parameters_layout) for one in (case.weight, case.bias))
        self.mean, self.var = (place(one, case.statistics_layout) for one in (case.running_mean, case.running_var))
        self.momentum = case.momentum
        if MOMENTUM_WEIGHS == "old" and self.momentum is not None:
            self.momentum = 1.0 - self.momentum

    def restart(self, case):
        given = {"weight": self.weight, "bias": self.bias, "running_mean": self.mean, "running_var": self.var}
        for name, array in given.items():
            if array is not None:
                array[...] = getattr(case, name)

    def forward(self, case):
        kernel, x_given = functions(), place(case.x, case.layout)
        x, weight, bias = (handed_over(one, case) for one in (x_given, self.weight, self.bias))
        mean, var, saved, new = self.mean, self.var, None, (None, None)
        if case.training:
            y, *new, saved = kernel.forward_training(x, weight, bias, mean, var, momentum=self.momentum, eps=case.eps)
            self.mean, self.var = (old if one is None else one for old, one in zip((mean, var), new))
        else:
            y = kernel.forward_inference(x, weight, bias, mean, var, eps=case.eps)
        results = {"y": copied(y), "running_mean": copied(self.mean), "running_var": copied(self.var)}

        def finish():
            moved = {"running_mean": (mean, new[0]), "running_var": (var, new[1])}
            outputs = {name: one for name, (old, one) in moved.items() if one is not old}
            outputs, dy_given = outputs | {"y": y}, None
            if case.dy is not None and hasattr(kernel, "backward" if case.training else "backward_inference"):
                dy_given = place(case.dy, case.dy_layout)
                dy = handed_over(dy_given, case)
                if case.training:
                    gradients = kernel.backward(dy, saved)
                else:
                    gradients = kernel.backward_inference(dy, x, weight, mean, var, eps=case.eps)
                outputs |= dict(zip(("dx", "dweight", "dbias"), gradients))
            found = {name: copied(outputs.get(name)) for name in ("dx", "dweight", "dbias")}
            found["dweight"] = None if weight is None else found["dweight"]
            found["dbias"] = None if bias is None else found["dbias"]
            inputs = {"x": x_given, "weight": self.weight, "bias": self.bias, "dy": dy_given}
            # In training only those that were not to be updated in place.
            olds = {"running_mean": (mean, new[0]), "running_var": (var, new[1])}
            inputs |= {n: old for n, (old, one) in olds.items() if not case.training or not (one is None or one is old)}
            after = {f"{name} after": copied(one) for name, one in inputs.items() if one is not None}
            return results | found | after | {"shares": shared(outputs, inputs)}

        return finish


def copied(array):
    """A copy of the array, or None."""
    return None if array is None else array.copy()


def shared(outputs, inputs):
    """Pairs of an output and what else shares its memory."""
    present = [(name, one) for name, one in outputs.items() if one is not None and one.size]
    others = present + [(name, one) for name, one in inputs.items() if one is not None and one.size]
    return [
        f"{name} and {other}"
        for i, (name, one) in enumerate(present)
        for other, two in others[i + 1 :]
        if np.may_share_memory(one, two)
    ]


def vectors(case):
    """ddx, laid out as x is, ddweight and ddbias; None beside an absent parameter, zeros where not given."""
    given = ((case.x, case.ddx, case.layout), (case.weight, case.ddweight, ""), (case.bias, case.ddbias, ""))
    return [
        None if like is None else place(np.zeros_like(like) if one is None else one, layout)
        for like, one, layout in given
    ]


def second_order(case):
    kernel, layer = functions(), Layer(case)
    x, statistics = place(case.x, case.layout), (layer.mean, layer.var)
    *_, saved = kernel.forward_training(x, layer.weight, layer.bias, *statistics, momentum=case.momentum, eps=case.eps)
    ddy, dx, dweight = kernel.double_backward(*vectors(case), place(case.dy, case.dy_layout), saved)
    return {"ddy": ddy, "dx": dx, "dweight": None if case.weight is None else dweight}


def jvp(case):
    layer = Layer(case)
    arguments = place(case.x, case.layout), layer.weight, layer.bias, *vectors(case)
    return {"y_tangent": functions().jvp(*arguments, eps=case.eps)}
