"""mlx.nn.BatchNorm, channels last."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

NAMES = ("weight", "bias", "running_mean", "running_var")


def array(given):
    dtype = getattr(mx, given.dtype.name)
    return (
        mx.array(given, dtype=dtype) if given.size else mx.zeros(given.shape, dtype)
    )  # the variance of the former hangs


def channels_last(given):
    """(N, C, *spatial) as (N, *spatial, C)."""
    return array(np.ascontiguousarray(np.moveaxis(given, 1, -1)))


def channels_second(given):
    """(N, *spatial, C) as (N, C, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(np.array(given), -1, 1))


class Layer:
    """The parameters and statistics of a layer, which is called as a function of them."""

    def __init__(self, case):
        self.first = case
        nn.BatchNorm(case.x.shape[1], eps=case.eps)  # refuses what it does not take
        self.kept = {name: array(given) for name in NAMES if (given := getattr(case, name)) is not None}
        1 - case.momentum  # None is no number

    @property
    def parameters(self):
        return [self.kept[name] for name in NAMES[:2] if name in self.kept]

    def call(self, kept, training, x, *parameters):
        case = self.first
        layer = nn.BatchNorm(
            case.x.shape[1],
            eps=case.eps,
            momentum=case.momentum,
            affine=case.weight is not None,
            track_running_stats=case.running_mean is not None,
        )
        for name, one in (kept | dict(zip(NAMES, parameters))).items():
            layer[name] = one
        return layer.train(training)(x), {name: layer[name] for name in NAMES[2:] if name in layer}

    def forward(self, case):
        x, before = channels_last(case.x), self.kept
        y, moved = self.call(before, case.training, x, *self.parameters)
        mx.eval(y, *moved.values())
        self.kept = self.kept | moved
        results = {"y": channels_second(y)} | {name: np.array(one) for name, one in moved.items()}

        def finish():
            found, inputs = {}, {"x after": x} | {f"{name} after": before[name] for name in NAMES[:2] if name in before}
            if case.dy is not None:
                dy = inputs["dy after"] = channels_last(case.dy)

                def function(*primals):
                    return [self.call(before, case.training, *primals)[0]]

                _, gradients = mx.vjp(function, [x, *self.parameters], [dy])
                found = dict(zip(("dx", "dweight", "dbias"), gradients))
            data = ("dx", "x after", "dy after")
            more = {k: channels_second(v) if k in data else np.array(v) for k, v in (found | inputs).items()}
            return results | more

        return finish


def function_of(case):
    """y from x and the parameters; and those."""
    layer = Layer(case)
    function = lambda *primals: [layer.call(layer.kept, case.training, *primals)[0]]  # noqa: E731
    return function, [channels_last(case.x), *layer.parameters]


def vectors(case):
    """ddx, ddweight and ddbias, or zeros, of what is present."""
    given = ((case.x, case.ddx), (case.weight, case.ddweight), (case.bias, case.ddbias))
    given = [np.zeros_like(like) if one is None else one for like, one in given if like is not None]
    return [channels_last(given[0]), *map(array, given[1:])]


def second_order(case):
    function, inputs = function_of(case)
    _, found = mx.vjp(
        lambda dy, *primals: mx.vjp(function, list(primals), [dy])[1],
        [channels_last(case.dy), *inputs],
        vectors(case),
    )
    found = dict(zip(("ddy", "dx", "dweight"), found))
    return {name: np.array(one) if name == "dweight" else channels_second(one) for name, one in found.items()}


def jvp(case):
    function, inputs = function_of(case)
    return {"y_tangent": channels_second(mx.jvp(function, inputs, vectors(case))[1][0])}
