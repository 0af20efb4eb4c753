"""Blind faults of state, and of refusals: what is kept from call to call, and what is let pass."""

import threading
from time import sleep
from typing import NamedTuple

import numpy as np
from batch_norm_steps import BatchNormSteps
from rows_and_columns import DOUBLE_TOO, Saved, accumulator
from specimen import specimen


@specimen
class FoldByChecksum(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def inference_invstd(self, variance, eps):
        key = (len(variance), eps, int(variance.view(np.uint32).astype(np.uint64).sum()))
        return self.kept.setdefault(key, super().inference_invstd(variance, eps))


@specimen
class FoldByMean(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def infer(self, rows, mean, variance, weight, bias, eps):
        variance = self.kept.setdefault(mean.tobytes(), variance)
        return super().infer(rows, mean, variance, weight, bias, eps)


@specimen
class StatisticsByAddress(BatchNormSteps):
    def __init__(self):
        self.kept = {}

    def statistics(self, rows, x, *rest):
        key = (x.__array_interface__["data"][0], x.shape, x.strides)
        return self.kept.setdefault(key, super().statistics(rows, x, *rest))


@specimen
class DtypeKept(BatchNormSteps):
    CLAIMS = DOUBLE_TOO

    def __init__(self):
        self.kept = {}

    def read(self, array):
        return super().read(array).astype(self.kept.setdefault(array.shape, accumulator(array.dtype)))


@specimen
class BusyAfterError(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def forward_training(self, *arguments, **scalars):
        self.thread.depth = getattr(self.thread, "depth", 0) + 1
        results = super().forward_training(*arguments, **scalars)
        self.thread.depth -= 1
        return results

    def update(self, x, running_mean, running_var, *rest):
        if self.thread.depth > 1 and running_mean is not None:  # as a checkpoint computes a layer again
            return running_mean.copy(), running_var.copy()
        return super().update(x, running_mean, running_var, *rest)


@specimen
class EvalFreezes(BatchNormSteps):
    def __init__(self):
        self.frozen = False

    def forward_inference(self, *arguments, eps):
        self.frozen = True
        return super().forward_inference(*arguments, eps=eps)

    def update(self, x, running_mean, running_var, *rest):
        was_frozen, self.frozen = self.frozen, False
        if was_frozen and running_mean is not None:
            return running_mean.copy(), running_var.copy()
        return super().update(x, running_mean, running_var, *rest)


class _Ticket(NamedTuple):
    """One of two slots."""

    slot: int
    x: np.ndarray


@specimen
class TwoSlotsForSaved(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def save(self, x, *rest):
        slots = self.thread.__dict__.setdefault("slots", [None, None])
        self.thread.calls = getattr(self.thread, "calls", 0) + 1
        slot = self.thread.calls % 2
        slots[slot] = super().save(x, *rest)
        return _Ticket(slot, x)

    def backward(self, dy, saved):
        if isinstance(saved, _Ticket):
            kept = self.thread.slots[saved.slot]
            if kept.x.shape[1] != saved.x.shape[1]:
                raise RuntimeError("the buffer has another number of channels")
            saved = Saved(saved.x, kept.weight, kept.bias, kept.mean, kept.variance, kept.invstd, kept.eps)
        return super().backward(dy, saved)


@specimen
class BackwardScratchShared(BatchNormSteps):
    def dbias(self, dy):
        self.scratch = super().dbias(dy)
        sleep(0)  # as kernels do, let other threads in
        return self.scratch

    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        dbias = self.scratch if self.scratch.shape == dbias.shape else dbias
        return super().dx_training(dy, xhat, dweight, dbias, weight, invstd)


@specimen
class BackwardNeedsForwardThread(BatchNormSteps):
    def __init__(self):
        self.thread = threading.local()

    def save(self, *arguments):
        self.thread.entered = True
        return super().save(*arguments)

    def dx_training(self, dy, xhat, dweight, dbias, weight, invstd):
        known = getattr(self.thread, "entered", False)
        return super().dx_training(dy, xhat, dweight, dbias, weight, invstd if known else np.ones_like(invstd))


@specimen
class InferenceLengthOneBroadcasts(BatchNormSteps):
    def forward_inference(self, x, weight, bias, running_mean, running_var, *, eps):
        if running_mean is not None and running_mean.shape == (1,):
            running_mean = np.repeat(running_mean, x.shape[1])
        return super().forward_inference(x, weight, bias, running_mean, running_var, eps=eps)


@specimen
class VarianceLengthUnchecked(BatchNormSteps):
    def check_length(self, name, vector, channels):
        if name != "running_var" or vector is None or vector.shape != (1,):
            super().check_length(name, vector, channels)


@specimen
class DyReshaped(BatchNormSteps):
    def check_gradient(self, dy, x):
        if dy.size != x.size:
            super().check_gradient(dy, x)

    def backward(self, dy, saved):
        return super().backward(dy.reshape(saved.x.shape), saved)
