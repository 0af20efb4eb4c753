"""Claims that are measured of bundled implementations, whose own claims are known."""

from __future__ import annotations

import pytest

from bnconform.deviations import ledger
from bnconform.identify.measured_claims import measured_claims
from bnconform_adapters.registry import create, find

QUICK = (
    *("reference", "torch", "torch.functional", "torch.vmap", "torch.decomp", "torch.channels_last", "fused_triton"),
    *("tf.fused", "tf.function", "tf.moments", "onnx.reference.9", "onnx.reference.14", "onnxruntime"),
)
"""Implementations that are measured in a few seconds each."""
LAWS = {"dtypes": ("N1", "N2"), "checks_arguments": ("E1",), "empty_batches": ("X3",)}
"""A claim may be measured as narrower if the ledger has a deviation from one of these laws."""
CONTIGUOUS = {("torch.channels_last", "ranks")}
"""Claims that the implementation narrows by choice: the layer takes all ranks where x is contiguous."""


@pytest.mark.parametrize("name", QUICK)
def test_measured_claims_are_those_of_the_table(name: str) -> None:
    """A measured claim differs from the table's only where the ledger lists a deviation from its law."""
    if missing := find(name).missing():
        pytest.skip(f"{name} needs {', '.join(missing)}")
    found = measured_claims(create(find(name)))
    known = {claim for claim, ids in LAWS.items() if any(ledger.find(name, id) for id in ids)}
    assert {claim for claim in found if (name, claim) not in CONTIGUOUS} <= known, found
