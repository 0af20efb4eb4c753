"""mlx.nn.BatchNorm, channels last."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from bnconform_adapters.plain.channels import channels_last, channels_second
from bnconform_adapters.plain.cotangents import cotangents

NAMES = ("weight", "bias", "running_mean", "running_var")


def array(given):
    dtype = getattr(mx, given.dtype.name)
    if given.size:
        return mx.array(given, dtype=dtype)
    return mx.zeros(given.shape, dtype)  # the variance of an empty mx.array hangs


class Layer:
    """The parameters and statistics of a layer; each call passes them to a new layer."""

    def __init__(self, case):
        self.first = case
        nn.BatchNorm(case.x.shape[1], eps=case.eps)  # raises on wrong arguments
        self.stored = {name: array(given) for name in NAMES if (given := getattr(case, name)) is not None}
        1 - case.momentum  # raises if momentum is None

    @property
    def parameters(self):
        return [self.stored[name] for name in NAMES[:2] if name in self.stored]

    def call(self, stored, training, x, *parameters):
        case = self.first
        layer = nn.BatchNorm(
            case.x.shape[1],
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
        )
        for name, one in (stored | dict(zip(NAMES, parameters))).items():
            layer[name] = one
        return layer.train(training)(x), {name: layer[name] for name in NAMES[2:] if name in layer}

    def forward(self, case):
        x, before = array(channels_last(case.x)), self.stored
        y, moved = self.call(before, case.training, x, *self.parameters)
        mx.eval(y, *moved.values())
        self.stored = self.stored | moved
        results = {"y": channels_second(np.array(y))} | {name: np.array(one) for name, one in moved.items()}

        def finish():
            found, inputs = {}, {"x after": x} | {f"{name} after": before[name] for name in NAMES[:2] if name in before}
            if case.dy is not None:
                dy = inputs["dy after"] = array(channels_last(case.dy))

                def function(*primals):
                    return [self.call(before, case.training, *primals)[0]]

                _, gradients = mx.vjp(function, [x, *self.parameters], [dy])
                found = dict(zip(("dx", "dweight", "dbias"), gradients))
            data = ("dx", "x after", "dy after")
            more = {k: channels_second(np.array(v)) if k in data else np.array(v) for k, v in (found | inputs).items()}
            return results | more

        return finish


def function_of(case):
    """Return y as a function of x and the parameters, and these inputs."""
    layer = Layer(case)
    function = lambda *primals: [layer.call(layer.stored, case.training, *primals)[0]]  # noqa: E731
    return function, [array(channels_last(case.x)), *layer.parameters]


def vectors(case):
    """Return ddx (channels last), ddweight and ddbias, or zeros; absent parameters are left out."""
    return [array(channels_last(one) if name == "dx" else one) for name, one in cotangents(case).items()]


def second_order(case):
    function, inputs = function_of(case)
    _, found = mx.vjp(
        lambda dy, *primals: mx.vjp(function, list(primals), [dy])[1],
        [array(channels_last(case.dy)), *inputs],
        vectors(case),
    )
    found = dict(zip(("ddy", "dx", "dweight"), found))
    return {name: np.array(one) if name == "dweight" else channels_second(np.array(one)) for name, one in found.items()}


def jvp(case):
    function, inputs = function_of(case)
    return {"y_tangent": channels_second(np.array(mx.jvp(function, inputs, vectors(case))[1][0]))}


def defaults():
    """Return the defaults of a layer with only the number of channels given, and the function that trains it."""
    layer = nn.BatchNorm(4)
    return {
        "made": "mlx.nn.BatchNorm(4)",
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": layer.running_mean[0].item(),
        "variance": layer.running_var[0].item(),
        "train": lambda x: np.array(layer(mx.array(x))),
    }
