"""A fresh process: nothing of earlier calls is there, and P8 sees what differs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from suite_runs import judge, laws, replaced, starter

from bnconform.judging.judge import GRADIENTS, STATISTICS
from bnconform.running.examiner import Examiner
from bnconform.running.options import RunOptions
from bnconform.running.session import Session
from bnconform_adapters.calls import run
from bnconform_adapters.contract import Case
from bnconform_adapters.worker.client import WorkerAdapter, run_once
from bnconform_adapters.worker.serve import imported_early


def case(**fields: Any) -> Case:
    """A training step with gradients."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((3, 2, 5)).astype(np.float32) for _ in range(2))
    vector = rng.uniform(0.5, 2.0, 2).astype(np.float32)
    return Case(x, dy, vector, -vector, vector - 1, vector, **fields)


def test_fresh_process_is_fresh(tmp_path: Path) -> None:
    """P8 sees a kernel that counts its calls; a worker that was replaced has counted none."""
    text = replaced(
        starter(), [("return y.astype(x.dtype), new_mean", "CALLS.append(y)\n    return y.astype(x.dtype), new_mean")]
    )
    text = replaced(text, [("    y = xhat * column(weight, x, 1)", "    y = xhat * column(weight, x, 1) + len(CALLS)")])
    (tmp_path / "kernel.py").write_text(text + "\nCALLS = []\n")
    spec = str(tmp_path / "kernel.py")
    with WorkerAdapter(spec) as there:
        first, second = run(there, case()), run(there, case())
        assert first.y is not None
        assert second.y is not None
        assert (first.y != second.y).all()
        fresh = run_once(spec, case())
        for name in ("y", *STATISTICS, *GRADIENTS):
            np.testing.assert_array_equal(getattr(fresh, name), getattr(first, name))
        broken, _ = judge(there, "P8", spec=spec)
        assert "in a fresh process and here" in str(broken) or "not every time" in str(broken)


def test_fresh_processes_remember_nothing_but_what_is_imported(tmp_path: Path) -> None:
    """What a call leaves behind is not there in the next fresh process, which is there at once all the same."""
    path = tmp_path / "kernel.py"
    path.write_text(
        starter() + "\nCALLS = []\n_inference = forward_inference\n\n\n"
        "def forward_inference(*arrays, **scalars):\n"
        "    CALLS.append(1)\n"
        "    return _inference(*arrays, **scalars) * len(CALLS)\n"
    )
    one = replace(case(), training=False, dy=None)
    first, second = (run_once(str(path), one) for _ in range(2))
    assert first.error is None
    np.testing.assert_array_equal(first.y, second.y)


def test_keras_is_imported_before_only_where_its_backend_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundled layer's processes find Keras there on its backend; a file may yet ask for another one."""
    for name in ("jax", "keras"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert "jax" in imported_early("kernel.py")
    assert "keras" not in imported_early("kernel.py")
    assert imported_early("keras.jax") == ["jax", "keras"]


def test_fresh_process_that_cannot_be_had_is_an_error() -> None:
    """An implementation that cannot be loaded again is told as an error of the call."""
    outcome = run_once("nowhere.py", case())
    assert outcome.error == "no such file: nowhere.py; pass the path of a Python file"


def test_time_limit_holds_in_a_fresh_process(tmp_path: Path) -> None:
    """A call that hangs in a fresh process only is given up after the run's limit for a first call."""
    slow = replaced(starter(), [("import numpy as np\n", "import sys\nimport time\n\nimport numpy as np\n")])
    slow += (
        "\nif 'pytest' not in sys.modules:\n\n"
        "    def forward_training(*arrays, **scalars):\n"
        "        time.sleep(300)\n\n"
        "    forward_inference = forward_training\n"
    )
    (tmp_path / "kernel.py").write_text(slow)
    cells: list[dict[str, Any]] = []
    session = Session(
        RunOptions((str(tmp_path / "kernel.py"),), profile="quick", seed=0, in_process=True, time_limit=0.05)
    )
    with pytest.raises(pytest.fail.Exception):
        Examiner(session, session.implementations[0], cells.append).examine(laws()["P8"])
    (cell,) = cells
    assert cell["finding"]["problem"].startswith("hung: no answer within 0.3 s in forward_training, kernel.py")
