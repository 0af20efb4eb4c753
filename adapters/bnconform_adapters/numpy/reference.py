"""bnconform_reference.BatchNorm."""

from copy import copy

import numpy as np

from bnconform_adapters.plain.calling import overrun, place, shared
from bnconform_reference.layer import BatchNorm
from bnconform_reference.synchronised import backward_shard, forward_shard, gradient_sums, merged_moments


def built(case, make):
    """Build a layer with the case's parameters, statistics and mode."""
    layer = make(case.x.shape[1], eps=case.eps, momentum=case.momentum)
    for name in ("weight", "bias", "running_mean", "running_var"):
        array = getattr(case, name)
        if array.shape != (case.x.shape[1],):
            raise ValueError(f"{name} has shape {array.shape}; the layer needs ({case.x.shape[1]},)")
        setattr(layer, name, array.copy())
    return layer.train() if case.training else layer.eval()


class Layer:
    """The layer, or another class with the same interface."""

    def __init__(self, case, make=BatchNorm):
        self.layer = built(case, make)

    def forward(self, case):
        layer, x = self.layer, place(case.x, case.layout)
        y = (layer.train() if case.training else layer.eval())(x)
        passed = copy(layer)  # stores the values for this call's backward pass
        forward = {"y": y.copy(), "running_mean": layer.running_mean.copy(), "running_var": layer.running_var.copy()}

        def finish():
            given, results = {"x": x}, {}
            if case.dy is not None:
                given["dy"] = place(case.dy, case.dy_layout)
                results["dx"] = passed.backward(given["dy"])
                results |= {"dweight": passed.dweight, "dbias": passed.dbias}
            after = {f"{name} after": one.copy() for name, one in given.items()}
            after |= {"weight after": layer.weight.copy(), "bias after": layer.bias.copy()}
            pairs, around = shared({"y": y} | results, given), [name for name, one in given.items() if overrun(one)]
            return forward | results | after | {"shares": pairs, "overrun": around}

        return finish


def population(*cases, make=BatchNorm):
    layer = make().use_population_statistics(case.x for case in cases)
    return {"running_mean": layer.running_mean, "running_var": layer.running_var}


def called(case, make):
    """Return the layer after a forward pass, its inputs, and copies of ddx, ddweight and ddbias (zeros for None)."""
    layer, x = built(case, make), place(case.x, case.layout)
    layer(x)
    pairs = ((case.x, case.ddx), (case.weight, case.ddweight), (case.bias, case.ddbias))
    vectors = [np.zeros_like(like) if vector is None else vector.copy() for like, vector in pairs]
    names = ("x", "weight", "bias", "ddx", "ddweight", "ddbias")
    given = (x, layer.weight, layer.bias, *vectors)
    return layer, vectors, {f"{name} after": one for name, one in zip(names, given)}


def second_order(case, make=BatchNorm):
    layer, vectors, given = called(case, make)
    dy = place(case.dy, case.dy_layout)
    found = dict(zip(("ddy", "dx", "dweight"), layer.double_backward(*vectors, dy)))
    return found | given | {"dy after": dy}


def jvp(case, make=BatchNorm):
    layer, vectors, given = called(case, make)
    return {"y_tangent": layer.jvp(*vectors)} | given


def shards(*cases, make=BatchNorm):
    """Run one step of layers that share their statistics, each with a shard of the batch."""
    whole, layers = merged_moments([case.x for case in cases]), [built(case, make) for case in cases]
    given = [(case.x, layer.weight, layer.bias) for case, layer in zip(cases, layers)]
    passed = [forward_shard(*arrays, whole, case.eps) for arrays, case in zip(given, cases)]
    results = []
    for layer, one in zip(layers, passed):
        layer.move_statistics(whole)
        results.append({"y": one.y, "running_mean": layer.running_mean, "running_var": layer.running_var})
    if cases[0].dy is None:
        return results
    parts = [gradient_sums(case.dy, one) for case, one in zip(cases, passed)]
    sums = [np.sum(each, axis=0) for each in zip(*parts)]
    return [
        result | {"dx": backward_shard(case.dy, one, *sums), "dweight": dweight, "dbias": dbias}
        for result, case, one, (dbias, dweight) in zip(results, cases, passed, parts)
    ]


def defaults():
    """Return the state of a new layer, and a function that trains it."""
    layer = BatchNorm()
    return {
        "made": "bnconform_reference.BatchNorm()",
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": 0.0,
        "variance": 1.0,
        "train": layer,
    }
