"""bnconform_reference.BatchNorm."""

from copy import copy

import numpy as np

from bnconform_adapters.plain.calling import place
from bnconform_reference.layer import BatchNorm
from bnconform_reference.synchronised import backward_shard, forward_shard, gradient_sums, merged_moments


class Layer:
    """The layer, with the case's parameters and statistics."""

    def __init__(self, case):
        self.layer = BatchNorm(case.x.shape[1], eps=case.eps, momentum=case.momentum)
        for name in ("weight", "bias", "running_mean", "running_var"):
            array = getattr(case, name)
            if array.shape != (case.x.shape[1],):
                raise ValueError(f"{name} has shape {array.shape}")
            setattr(self.layer, name, array.copy())

    def forward(self, case):
        layer, x = self.layer, place(case.x, case.layout)
        y = (layer.train() if case.training else layer.eval())(x)
        passed = copy(layer)  # with what this call's backward pass needs
        results = {"y": y, "running_mean": layer.running_mean.copy(), "running_var": layer.running_var.copy()}

        def finish():
            after = {"x after": x, "weight after": layer.weight, "bias after": layer.bias}
            if case.dy is None:
                return results | after
            dy = place(case.dy, case.dy_layout)
            dx = passed.backward(dy)
            return results | after | {"dx": dx, "dweight": passed.dweight, "dbias": passed.dbias, "dy after": dy}

        return finish


def population(*cases):
    layer = BatchNorm().use_population_statistics(case.x for case in cases)
    return {"running_mean": layer.running_mean, "running_var": layer.running_var}


def called(case):
    """The layer after a forward pass, and copies of ddx, ddweight and ddbias; zeros where they are None."""
    layer, x = Layer(case).layer, place(case.x, case.layout)
    (layer.train() if case.training else layer.eval())(x)
    pairs = ((case.x, case.ddx), (case.weight, case.ddweight), (case.bias, case.ddbias))
    vectors = [np.zeros_like(like) if vector is None else vector.copy() for like, vector in pairs]
    names = ("x", "weight", "bias", "ddx", "ddweight", "ddbias")
    given = (x, layer.weight, layer.bias, *vectors)
    return layer, vectors, {f"{name} after": one for name, one in zip(names, given)}


def second_order(case):
    layer, vectors, given = called(case)
    dy = place(case.dy, case.dy_layout)
    found = dict(zip(("ddy", "dx", "dweight"), layer.double_backward(*vectors, dy)))
    return found | given | {"dy after": dy}


def jvp(case):
    layer, vectors, given = called(case)
    return {"y_tangent": layer.jvp(*vectors)} | given


def shards(*cases):
    whole, layers = merged_moments([case.x for case in cases]), [Layer(case).layer for case in cases]
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
