"""Faulty variations of every form are told by the laws that they break, and by no law that they keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_faults import FAULTS, Fault
from suite_runs import judge, replaced, starter

from bnconform_adapters.registry import load


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.form}-{fault.name}")
def test_fault_is_told_by_its_law(fault: Fault, tmp_path: Path) -> None:
    """The law that a fault breaks says so, laws that it keeps say nothing."""
    pytest.importorskip(fault.framework)
    path = tmp_path / "kernel.py"
    path.write_text(fault.text)
    adapter = load(str(path))
    broken, _ = judge(adapter, fault.told_by)
    assert broken is not None, f"{fault.told_by} does not see it"
    assert fault.told in broken.finding.problem
    for id in fault.silent:
        broken, _ = judge(adapter, id, profile="quick")
        assert broken is None, f"{id} blames it: {broken}"


def test_results_that_require_gradients_are_detached(tmp_path: Path) -> None:
    """Functions on tensors may return what autograd follows: values count, and the laws hold."""
    pytest.importorskip("torch")
    path = tmp_path / "kernel.py"
    edit = ("    wide = widened(x)\n    mean", "    x = x.detach().requires_grad_()\n    wide = widened(x)\n    mean")
    path.write_text(replaced(starter("torch"), [edit]))
    adapter = load(str(path))
    for id in ("F1", "S4", "S11", "G1", "P1"):
        broken, _ = judge(adapter, id, profile="quick")
        assert broken is None, id
