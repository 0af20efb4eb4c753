"""The options on how a file is called reach every place that calls one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from suite_runs import replaced, run, starter

from bnconform.cli import main
from bnconform.running.options import RunOptions
from bnconform_adapters.errors import AdapterError
from bnconform_adapters.worker import client
from bnconform_adapters.worker.limits import CallOptions, Limits

LIMIT = "--time-limit=0.05"
SLOW = (
    ("    refuse_bad_input(x, eps, weight, bias, running_mean, running_var)\n    n =", "    time.sleep(1)\n    n ="),
)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A folder with a correct file whose training takes a second a call, and one that takes seconds to import."""
    (tmp_path / "slow.py").write_text(replaced("import time\n" + starter(), SLOW))
    (tmp_path / "import.py").write_text("import time\ntime.sleep(3)\n" + starter())
    return tmp_path


def test_loading_is_limited_in_vet(slow: Path) -> None:
    """The file is first loaded to see that it can be; the limit holds there, too."""
    found = run("-m", "bnconform.cli", "vet", "import.py", LIMIT, "--requirement=F1", cwd=slow)
    assert found.status == 2, found.out + found.err
    assert "import.py cannot be imported: hung: no answer within 0.6 s" in found.err


def test_calls_are_limited_in_measure_and_replay(slow: Path) -> None:
    """`measure` and `replay` take the limit, and say that the call hung."""
    asked = ("--requirement=S2", "--report=out", "--hypothesis-profile=quick", "--time-limit=5", "--examples=1")
    (slow / "kernel.py").write_text(replaced(starter(), ((" * (n / (n - 1))", ""),)))
    assert run("-m", "bnconform.cli", "vet", "kernel.py", *asked, cwd=slow).status == 1
    case = "out/cases/S2-kernel.json"
    found = run("-m", "bnconform.cli", "replay", case, "--adapter=slow.py", LIMIT, cwd=slow)
    assert found.status == 1, found.out + found.err
    assert "hung: no answer within" in found.out
    assert f"bnconform replay {case} --adapter slow.py --time-limit=0.05" in found.out
    measured = run("-m", "bnconform.cli", "measure", "slow.py", LIMIT, "--kind=length", "--at=8", cwd=slow)
    assert "no answer within 0.3 s" in measured.out + measured.err


def test_a_file_is_loaded_once(slow: Path) -> None:
    """A run of `vet` loads the file once, also where it breaks laws and a probable cause is looked for."""
    counted = 'open("loads.txt", "a").write("1")\n' + replaced(starter(), ((" * (n / (n - 1))", ""),))
    (slow / "kernel.py").write_text(counted)
    found = run("-m", "bnconform.cli", "vet", "kernel.py", "--requirement=S2", "--examples=2", cwd=slow)
    assert found.status == 1, found.out + found.err
    assert "the stored variance divides by n" in found.out
    assert (slow / "loads.txt").read_text() == "1"


def test_benefits_are_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Training with a file calls it under the options given."""
    seen: list[CallOptions] = []

    def opened(spec: str, calls: CallOptions) -> Any:
        seen.append(calls)
        raise AdapterError("enough")

    monkeypatch.setattr(client, "opened", opened)
    assert main(["benefits", "-o", str(tmp_path), "--adapter", "k.py", "--time-limit", "0.5"]) == 2
    assert seen == [CallOptions(time_limit=0.5)]


def test_budget_bounds_loading_and_first_calls() -> None:
    """Neither may use a budget up; without one they have the usual limits."""
    bounded, usual = Limits.of("k.py", RunOptions(budget=20.0).calls), Limits.of("k.py")
    assert bounded.loading == bounded.call(first=True) == 5.0
    assert bounded.call(first=False) == 5.0 < usual.call(first=False) < usual.call(first=True) < usual.loading
