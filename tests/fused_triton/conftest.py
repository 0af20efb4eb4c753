"""Fixtures of the kernel's own tests; without torch and triton they are skipped."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bnconform[kernel]'")
pytest.importorskip("triton", reason="needs triton: pip install 'bnconform[kernel]'")


@pytest.fixture(params=["gpu_tiles", "interpreter_tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run with the tiles that a GPU gets, then with the interpreter's."""
    from bnconform_adapters.fused_triton import launch, plan

    budget = plan.COMPILED if request.param == "gpu_tiles" else plan.INTERPRETED
    monkeypatch.setattr(launch, "BUDGET", budget)
    return budget
