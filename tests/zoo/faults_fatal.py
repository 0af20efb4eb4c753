"""Faults that end the process, or never end: they are judged in a worker."""

import ctypes
import os
from itertools import count

from batch_norm_steps import BatchNormSteps
from specimen import Specimen, specimen

SPECIMENS = (
    Specimen("SegfaultsPastThree", "C > 3 reads address 0", "", ("E2",)),
    Specimen("HangsOnOneSample", "inference of one sample never ends", "", ("E2",)),
    Specimen("ExitsOnWrongLength", "a vector of the wrong length exits the process", "", ("E2",)),
    Specimen("AbortsOnEmptyBatch", "an empty batch aborts, as a failed assertion in C does", "", ("E2", "X3")),
)


@specimen
class SegfaultsPastThree(BatchNormSteps):
    def statistics(self, rows, *rest):
        if len(rows) > 3:
            ctypes.string_at(0)
        return super().statistics(rows, *rest)


@specimen
class HangsOnOneSample(BatchNormSteps):
    def forward_inference(self, x, *rest, eps):
        for _ in count() if x.shape[0] == 1 else ():
            pass
        return super().forward_inference(x, *rest, eps=eps)


@specimen
class ExitsOnWrongLength(BatchNormSteps):
    def check_length(self, name, vector, channels):
        if vector is not None and vector.shape != (channels,):
            os._exit(3)


@specimen
class AbortsOnEmptyBatch(BatchNormSteps):
    def empty_batch(self, *arguments):
        os.abort()
