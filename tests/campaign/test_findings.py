"""Findings of a campaign: what is the same one, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bnconform.campaign.finding_signatures import gathered, write_findings
from bnconform.cases import case_file
from bnconform_adapters.contract import Case

STEPS = (Case(x=np.zeros((2, 1), np.float32), training=False, momentum=0.1, eps=1e-5),)


def cell(quantity: str, problem: str) -> dict[str, Any]:
    """A broken cell."""
    return {
        "requirement": "S2",
        "implementation": "kernel.py",
        "verdict": "breaks",
        "finding": {"quantity": quantity, "problem": problem},
        "witness": case_file.to_json(STEPS),
        "again": "",
        "script": f"# {problem}",
        "spec": "kernel.py",
    }


def test_files_keep_their_names_when_findings_come_in(tmp_path: Path) -> None:
    """A finding has the name that it had before others of its requirement were found, whatever sorts first."""
    later = cell("running_var", "is off")
    (before,) = write_findings(gathered([later]), tmp_path).values()
    text = before.with_suffix(".py").read_text()
    others = [cell("dx", "is off"), cell("running_var", "has 3 of 4 elements at 1e-5"), cell("call", "raised A: b")]
    paths = write_findings(gathered([*others, later]), tmp_path)
    assert paths["S2", "kernel.py", "running_var is off"] == before
    assert before.with_suffix(".py").read_text() == text
    assert len(set(paths.values())) == len(list(tmp_path.glob("*.json"))) == 4
    assert before.name.startswith("S2-kernel-running_var-")


def test_numbers_make_no_other_finding(tmp_path: Path) -> None:
    """Findings that differ in their numbers only are one."""
    found = gathered([cell("y", "is 1.5 at [0, 3]"), cell("y", "is -2e-7 at [1, 2]"), cell("y", "is nan at [1, 2]")])
    assert len(write_findings(found, tmp_path)) == 1
