"""The table entry of the project's own reference in NumPy."""

from __future__ import annotations

from bnconform_adapters.claims import Claims
from bnconform_adapters.entry import Entry

REFERENCE = Claims(
    dtypes=("float64",),
    second_order=("training", "inference"),
    forward_mode=("training", "inference"),
    parameters=("both",),
    grade="NW",  # population statistics merge batches by Chan's formula
    population=True,
    shards=("equal", "unequal", "empty"),
    default_eps=1e-5,
    default_momentum=0.1,
)

IMPLEMENTATIONS = (Entry("reference", "numpy.reference", REFERENCE, (("numpy", "numpy"),), "torch"),)
