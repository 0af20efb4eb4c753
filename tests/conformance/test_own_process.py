"""Implementations that do not get along with the others: each has one process for all tests that call it directly."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import names_apart, run_apart

from bnconform_adapters.registry import REGISTRY

TESTS = [Path(__file__).with_name(name) for name in ("test_claims.py", "test_keras_mask.py")]


@pytest.mark.parametrize("name", names_apart(entry.name for entry in REGISTRY))
def test_implementation_of_its_own_process(name: str) -> None:
    """Its claims are held against the framework, called without the adapter, and what Keras makes of masks is, too."""
    run_apart(name, *TESTS)
