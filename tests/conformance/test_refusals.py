"""A call that must raise has to refuse its arguments: an accident in its code is no refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from suite_runs import judge, replaced, starter

from bnconform.judging.refusals import accident
from bnconform_adapters.claims import Claims
from bnconform_adapters.registry import load

REFUSAL = '            raise ValueError(f"a parameter has shape {parameter.shape}; x needs ({x.shape[1]},)")\n'
ONE_VALUE = '        raise ValueError("training needs more than one value per channel")\n'


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ("ValueError: no", ""),
        ("TypeError", ""),
        ("RuntimeError: size mismatch", ""),
        ("NotImplementedError: rank 6", ""),
        ("AssertionError", ""),
        ("InvalidArgumentError: a framework's own", ""),
        ("AxisError: axis 1 is out of bounds", ""),
        ("NameError: name 'shape' is not defined", "NameError"),
        ("UnboundLocalError: n", "UnboundLocalError"),
        ("AttributeError: 'NoneType' object has no attribute 'shape'", "AttributeError"),
        ("IndexError: tuple index out of range", "IndexError"),
        ("ZeroDivisionError: division by zero", "ZeroDivisionError"),
        ("RecursionError: maximum recursion depth exceeded", "RecursionError"),
        ("KeyError: 'x'", "KeyError"),
        ("open: not a type of exception", ""),
    ],
)
def test_what_nobody_raises_on_purpose_is_an_accident(error: str, name: str) -> None:
    """Built-in exceptions count by their kind, a framework's own as refusals, and what is claimed as claimed."""
    assert accident(error, Claims()) == name
    assert not name or accident(error, replace(Claims(), refuses_with=(name,))) == ""


@pytest.mark.parametrize(
    ("id", "old", "new", "problem"),
    [
        (
            "E1",
            REFUSAL,
            "            raise ValueError(x.shape[9])\n",
            "raised IndexError: tuple index out of range for ",
        ),
        ("E1", REFUSAL, "            raise ValueError(shape)\n", "raised NameError: name 'shape' is not defined for "),
        ("X2", ONE_VALUE, "        1 // (n - 1)\n", "raised ZeroDivisionError: "),
    ],
)
def test_law_tells_an_accident_from_a_refusal(id: str, old: str, new: str, problem: str, tmp_path: Path) -> None:
    """The law breaks, says that it is an accident, and names the claim; with the claim it holds."""
    text = replaced(starter(), ((old, new),))
    (tmp_path / "kernel.py").write_text(text)
    broken, _ = judge(load(str(tmp_path / "kernel.py")), id)
    assert broken is not None
    assert broken.finding.problem.startswith(problem)
    assert "an accident, not a refusal" in broken.finding.problem
    name = problem.split()[1].strip(":")
    (tmp_path / "kernel.py").write_text(f"{text}\nCLAIMS = {{'refuses_with': [{name!r}]}}\n")
    assert judge(load(str(tmp_path / "kernel.py")), id)[0] is None
