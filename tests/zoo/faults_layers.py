"""Faults of layers with state of their own: the cumulative average, and population statistics.

A file of functions can claim neither; these are layers as `bnconform_reference.BatchNorm` is.
"""

from itertools import islice

import numpy as np
from specimen import Specimen

from bnconform_reference.layer import BatchNorm
from bnconform_reference.running_statistics import moments

SPECIMENS = (
    Specimen("CountsEmptyBatches", "momentum None counts a batch without samples as seen", "", ("S3",)),
    Specimen("CountsRefusedBatches", "momentum None counts a batch that it refuses as seen", "", ("S3",)),
    Specimen("CountsInference", "momentum None counts inference as a batch seen", "", ("S3",)),
    Specimen("CountsFromTwo", "momentum None takes the initial statistics for a batch", "", ("S3",)),
    Specimen("NoneIsTenth", "momentum None is 0.1", "", ("S3",)),
    Specimen("MeanOfBatchVariances", "population variance is the mean of the batches' variances", "", ("S10",)),
    Specimen("BatchesCountAlike", "population mean weighs batches alike, whatever their size", "", ("S10",)),
    Specimen("PopulationIsBiased", "population variance divides by n", "", ("S10",)),
    Specimen("FirstBatchesOnly", "population statistics stop after three batches", "", ("S10",)),
)


class CountsEmptyBatches(BatchNorm):
    def __call__(self, x):
        y = super().__call__(x)
        self.batches_seen += self.training and not x.size
        return y


class CountsRefusedBatches(BatchNorm):
    def __call__(self, x):
        before = self.batches_seen
        try:
            return super().__call__(x)
        except ValueError:
            self.batches_seen = before + 1
            raise


class CountsInference(BatchNorm):
    def __call__(self, x):
        y = super().__call__(x)
        self.batches_seen += not self.training
        return y


class CountsFromTwo(BatchNorm):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.batches_seen = 1


class NoneIsTenth(BatchNorm):
    def __init__(self, *arguments, momentum=0.1, **named):
        super().__init__(*arguments, momentum=0.1 if momentum is None else momentum, **named)


class MeanOfBatchVariances(BatchNorm):
    def use_population_statistics(self, batches):
        batches = [batch for batch in batches if batch.size]
        super().use_population_statistics(batches)
        parts = [moments(batch) for batch in batches]
        self.running_var = np.mean([part.squares / max(part.count - 1, 1) for part in parts], axis=0)
        return self


class BatchesCountAlike(BatchNorm):
    def use_population_statistics(self, batches):
        batches = [batch for batch in batches if batch.size]
        super().use_population_statistics(batches)
        self.running_mean = np.mean([moments(batch).mean for batch in batches], axis=0)
        return self


class PopulationIsBiased(BatchNorm):
    def use_population_statistics(self, batches):
        batches = list(batches)
        super().use_population_statistics(batches)
        n = sum(moments(batch).count for batch in batches)
        self.running_var = self.running_var * ((n - 1) / n)
        return self


class FirstBatchesOnly(BatchNorm):
    def use_population_statistics(self, batches):
        return super().use_population_statistics(islice(batches, 3))
