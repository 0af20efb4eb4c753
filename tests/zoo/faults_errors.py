"""Faults of refusal: wrong arguments that are taken without a word."""

import numpy as np
from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("LengthOneBroadcasts", "a weight of length 1 serves all channels", "pytorch/pytorch#100970", ("E1",)),
    Specimen(
        "LongParametersCut",
        "parameters that are too long are cut",
        "vacancy/Synchronized-BatchNorm-PyTorch#31",
        ("E1",),
    ),
    Specimen("NegativeEpsTaken", "a negative eps is used", "eps-nonpositive-validation (torch)", ("E1",)),
    Specimen("RowTaken", "x of rank 1 is one sample", "", ("E1",)),
    Specimen(
        "DyBroadcasts",
        "dy of another shape is broadcast",
        "missing-validation-oob pytorch/pytorch#188958",
        ("E1",),
    ),
    Specimen(
        "ShortStatisticsCycle",
        "statistics that are too short are repeated",
        "missing-validation-oob pytorch/pytorch#194798",
        ("E1",),
    ),
)


@specimen
class LengthOneBroadcasts(BatchNormSteps):
    def check_length(self, name, vector, channels):
        if vector is None or vector.shape != (1,):
            super().check_length(name, vector, channels)


@specimen
class LongParametersCut(BatchNormSteps):
    def forward_training(self, x, weight, bias, running_mean, running_var, *, momentum, eps):
        cut = [None if v is None else v[: x.shape[1]] for v in (weight, bias, running_mean, running_var)]
        return super().forward_training(x, *cut, momentum=momentum, eps=eps)


@specimen
class NegativeEpsTaken(BatchNormSteps):
    def check_eps(self, eps):
        super().check_eps(abs(eps))


@specimen
class RowTaken(BatchNormSteps):
    def forward_training(self, x, weight, bias, running_mean, running_var, *, momentum, eps):
        if x.ndim == 1:
            return x - x.mean(), running_mean, running_var, None
        return super().forward_training(x, weight, bias, running_mean, running_var, momentum=momentum, eps=eps)


@specimen
class DyBroadcasts(BatchNormSteps):
    def check_gradient(self, dy, x):
        np.broadcast_shapes(dy.shape, x.shape)

    def backward(self, dy, saved):
        return super().backward(np.broadcast_to(dy, saved.x.shape), saved)


@specimen
class ShortStatisticsCycle(BatchNormSteps):
    def forward_training(self, x, weight, bias, running_mean, running_var, *, momentum, eps):
        if running_mean is not None and running_mean.size:
            running_mean, running_var = (np.resize(v, x.shape[1]) for v in (running_mean, running_var))
        return super().forward_training(x, weight, bias, running_mean, running_var, momentum=momentum, eps=eps)
