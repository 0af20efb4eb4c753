"""keras.layers.BatchNormalization on PyTorch, channels on axis 1."""

from bnconform_adapters.keras.keras_arguments import arguments_of
from bnconform_adapters.keras.keras_layer import defaults as defaults
from bnconform_adapters.keras.keras_layer import new_layer
from bnconform_adapters.torch.derivatives import forward_mode, twice
from bnconform_adapters.torch.tensors import differentiated, laid_out, rest_of_call


def layer_of(case):
    layer = new_layer("torch", axis=1, **arguments_of(case))
    layer.build(case.x.shape)
    return layer


class Layer:
    """A Keras layer, and the tensors to call it with."""

    def __init__(self, case):
        self.layer = layer_of(case)
        self.restart(case)

    def restart(self, case):
        self.weight, self.bias = laid_out(case.weight), laid_out(case.bias)
        self.mean, self.var = laid_out(case.running_mean), laid_out(case.running_var)

    def forward(self, case):
        x = laid_out(case.x, case.layout)
        sources = differentiated(case, x, self.weight, self.bias)
        trainable = [one for one in (self.weight, self.bias) if one is not None]
        y, new = self.layer.stateless_call(trainable, [self.mean, self.var], x, training=case.training)
        if case.training:
            self.mean, self.var = (one.detach() for one in new)
        inputs = {"x": x, "weight": self.weight, "bias": self.bias}
        return rest_of_call(case, sources, inputs, y, self.mean, self.var, composed=True)


def function_of(case):
    """Return y as a function of x and the parameters."""
    layer, statistics = layer_of(case), [laid_out(case.running_mean), laid_out(case.running_var)]
    return lambda x, parameters: layer.stateless_call(list(parameters.values()), statistics, x, training=case.training)[
        0
    ]


def second_order(case):
    return twice(case, function_of(case))


def jvp(case):
    return forward_mode(case, function_of(case))
