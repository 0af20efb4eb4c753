"""paddle.nn.BatchNorm1D, 2D and 3D."""

from threading import Lock

import numpy as np
import paddle

from bnconform_adapters.plain.calling import shared
from bnconform_adapters.plain.cotangents import cotangents
from bnconform_adapters.plain.signatures import default_of

BUILDING = Lock()  # the default dtype is global


class Layer:
    """A Paddle layer with the case's parameters and statistics."""

    def __init__(self, case):
        kind = {4: paddle.nn.BatchNorm2D, 5: paddle.nn.BatchNorm3D}.get(case.x.ndim, paddle.nn.BatchNorm1D)
        with BUILDING:
            paddle.set_default_dtype("float64" if case.x.dtype == np.float64 else "float32")
            self.layer = layer = kind(
                case.x.shape[1],
                momentum=1 - case.momentum,  # the case's weighs the new batch, Paddle's the old statistics
                epsilon=case.eps,
                weight_attr=None if case.weight is not None else False,
                bias_attr=None if case.bias is not None else False,
            )
        if case.weight is not None:
            layer.weight.set_value(case.weight)
        if case.bias is not None:
            layer.bias.set_value(case.bias)
        layer._mean.set_value(case.running_mean)
        layer._variance.set_value(case.running_var)

    def inputs(self, case):
        """Return the tensors to differentiate by, under the names of their gradients."""
        inputs = {"dx": paddle.to_tensor(case.x), "dweight": self.layer.weight, "dbias": self.layer.bias}
        return {name: tensor for name, tensor in inputs.items() if tensor is not None}

    def call(self, x, training):
        if training:
            self.layer.train()
        else:
            self.layer.eval()
        return self.layer(x)

    def forward(self, case):
        inputs = self.inputs(case)
        for name, tensor in inputs.items():
            tensor.stop_gradient = case.dy is None or name not in case.wanted.split()
        y = self.call(inputs["dx"], case.training)
        results = {"y": y.numpy()}
        results |= {"running_mean": self.layer._mean.numpy(), "running_var": self.layer._variance.numpy()}

        def finish():
            found, given = {}, {name[1:]: tensor for name, tensor in inputs.items()}
            if case.dy is not None:
                given["dy"] = paddle.to_tensor(case.dy)
                for tensor in inputs.values():
                    tensor.grad = None  # a backward pass adds to the gradient
                paddle.autograd.backward([y], [given["dy"]], retain_graph=True)
                found = {name: tensor.grad for name, tensor in inputs.items() if not tensor.stop_gradient}
            after = {f"{name} after": tensor.numpy() for name, tensor in given.items()}
            shares = shared({"y": y} | found, given, lambda one, two: one.data_ptr() == two.data_ptr())
            found = {name: None if tensor is None else tensor.numpy() for name, tensor in found.items()}
            return results | found | after | {"shares": shares}

        return finish


def second_order(case):
    layer = Layer(case)
    inputs, dy = layer.inputs(case), paddle.to_tensor(case.dy)
    for tensor in (dy, *inputs.values()):
        tensor.stop_gradient = False
    y = layer.call(inputs["dx"], case.training)
    once = paddle.grad(y, list(inputs.values()), dy, create_graph=True)
    sources = {"ddy": dy} | {name: one for name, one in inputs.items() if name != "dbias"}
    vectors = [paddle.to_tensor(one) for one in cotangents(case).values()]
    found = paddle.grad(once, list(sources.values()), vectors, allow_unused=True)
    return {
        name: np.zeros(sources[name].shape, case.x.dtype) if one is None else one.numpy()
        for name, one in zip(sources, found)
    }


def defaults():
    """Return the defaults of a layer with only the number of channels given, and the function that trains it."""
    layer, init = paddle.nn.BatchNorm1D(4), paddle.nn.BatchNorm1D.__init__
    return {
        "made": "paddle.nn.BatchNorm1D(4)",
        "eps": default_of(init, "epsilon"),
        "momentum": default_of(init, "momentum"),
        "mean": layer._mean.numpy()[0],
        "variance": layer._variance.numpy()[0],
        "train": lambda x: layer(paddle.to_tensor(x)).numpy(),
    }
