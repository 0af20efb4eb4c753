"""A class in NumPy whose averages start at 0 and are divided by the weight of the batches seen."""

import numpy as np


class BatchNorm:
    def __init__(self, channels, decay_rate, eps):
        self.decay_rate, self.eps, self.counter = decay_rate, eps, 0
        self.scale, self.offset = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        self.mean = {"hidden": np.zeros(channels, np.float32), "average": np.zeros(channels, np.float32)}
        self.var = {"hidden": np.zeros(channels, np.float32), "average": np.zeros(channels, np.float32)}

    def moved(self, state, batch):
        state["hidden"] = (self.decay_rate * state["hidden"] + (1 - self.decay_rate) * batch).astype(np.float32)
        state["average"] = (state["hidden"] / (1 - self.decay_rate**self.counter)).astype(np.float32)

    def __call__(self, x, is_training):
        axes, shape = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
        mean, var = self.mean["average"], self.var["average"]
        if is_training:
            mean = x.mean(axes)
            var = np.square(x - mean.reshape(shape)).mean(axes)
            self.counter += 1
            self.moved(self.mean, mean)
            self.moved(self.var, var)
        scale = self.scale / np.sqrt(var + self.eps)
        return (x - mean.reshape(shape)) * scale.reshape(shape) + self.offset.reshape(shape)


# For bnconform:
LAYER = {
    "build": BatchNorm,
    "running_mean": ("mean.average", "mean.hidden"),
    "running_var": ("var.average", "var.hidden"),
    "counters": {"counter": (0, 1 << 30)},
}
CLAIMS = {"momentum_weighs": "old", "stored_variance": "biased", "one_value": "zero_variance", "debiased": True}
CLAIMS |= {"initial_variance": 0.0, "momentum_min": 2.0**-20, "empty_batches": False}
