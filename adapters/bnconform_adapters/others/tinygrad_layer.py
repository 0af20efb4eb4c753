"""tinygrad.nn.BatchNorm."""

import numpy as np
from tinygrad import Context, Tensor, nn

from bnconform_adapters.plain.cotangents import cotangents

KEPT = ("weight", "bias", "running_mean", "running_var")


class Layer:
    """A tinygrad layer with the case's parameters and statistics."""

    def __init__(self, case):
        1 - case.momentum  # raises if momentum is None
        with Context(DEFAULT_FLOAT="float64" if case.x.dtype == np.float64 else "float32"):
            self.layer = nn.BatchNorm(
                case.x.shape[1],
                eps=case.eps,
                affine=case.weight is not None,
                track_running_stats=case.running_mean is not None,
                momentum=case.momentum,
            )
        given = {name: Tensor(array) for name in KEPT if (array := getattr(case, name)) is not None}
        nn.state.load_state_dict(self.layer, given, strict=False, verbose=False)

    def inputs(self, case):
        """Return the tensors to differentiate by, under the names of their gradients."""
        inputs = {"dx": Tensor(case.x), "dweight": self.layer.weight, "dbias": self.layer.bias}
        return {name: one for name, one in inputs.items() if one is not None}

    def call(self, x, training):
        with Context(TRAINING=int(training)):
            return self.layer(x)

    def forward(self, case):
        inputs = self.inputs(case)
        results = {"y": self.call(inputs["dx"], case.training)}
        given = {name[1:]: one for name, one in inputs.items()}
        if case.dy is not None:  # before y is realized, since a realized y has no gradient
            given["dy"] = Tensor(case.dy)
            wanted = [name for name in inputs if name in case.wanted.split()]
            found = results["y"].gradient(*(inputs[name] for name in wanted), gradient=given["dy"])
            results |= dict(zip(wanted, found))
        results |= {name: getattr(self.layer, name) for name in KEPT[2:] if hasattr(self.layer, name)}
        Tensor.realize(*results.values(), self.layer.num_batches_tracked)
        results |= {f"{name} after": one for name, one in given.items()}
        results = {name: one.numpy() for name, one in results.items()}
        return lambda: results


def second_order(case):
    layer = Layer(case)
    inputs, dy = layer.inputs(case), Tensor(case.dy)
    once = layer.call(inputs["dx"], case.training).gradient(*inputs.values(), gradient=dy)
    total = sum((one * Tensor(vector)).sum() for one, vector in zip(once, cotangents(case).values()))
    sources = {"ddy": dy} | {name: one for name, one in inputs.items() if name != "dbias"}
    found = total.gradient(*sources.values())
    Tensor.realize(*found)
    return {name: np.broadcast_to(one.numpy(), sources[name].shape) for name, one in zip(sources, found)}


def defaults():
    """Return the defaults of a layer with only the number of channels given, and the function that trains it."""
    layer = nn.BatchNorm(4)

    def train(x):
        with Context(TRAINING=1):
            return layer(Tensor(x)).numpy()

    return {
        "made": "tinygrad.nn.BatchNorm(4)",
        "eps": layer.eps,
        "momentum": layer.momentum,
        "mean": layer.running_mean.numpy()[0],
        "variance": layer.running_var.numpy()[0],
        "train": train,
    }
